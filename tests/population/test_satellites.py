"""Second deflectors and members of groups."""

from dataclasses import replace

import numpy as np
import pytest

from conftest import ROOT
from lensdream import config
from lensdream.population import lenses
from lensdream.population.builder import to_table
from lensdream.population.satellites import Pair
from lensdream.scene import Role

SETTINGS = config.load("population", config.PopulationConfig, "quick", ROOT / "params.yaml")


@pytest.mark.parametrize("separation", [0.4, 1.0, 2.5])
def test_a_source_behind_a_pair_lies_where_its_ring_comes_from(separation):
    pair = Pair(separation, 0.0, 10**-0.4, 0.0)
    first, second = 0.8, 0.8 * pair.einstein_radius
    # rays of the ring around the first, or around both where they are closer than their Einstein radii
    apart = separation > first + second
    angle = np.linspace(0, 2 * np.pi, 721)[:-1]
    middle = 0.0 if apart else separation * second / (first + second)
    theta = middle + (first if apart else first + second) * np.exp(1j * angle)
    beta = theta - first * theta / abs(theta) - second * (theta - separation) / abs(theta - separation)
    assert abs(beta.mean() - pair.towards(first)) < 0.05


def test_a_second_deflector_has_light_and_mass_and_its_controls_keep_it(catalogs):
    settings = replace(SETTINGS, second_deflector=1.0, group_members=1.0)
    rng = np.random.default_rng(6)
    found, _ = lenses.draw_single(settings, catalogs, "test", rng)
    scenes = to_table(found)
    table, parts = scenes.scenes, scenes.components
    ratio = table["theta_E_b"] / table["theta_E_1"]
    assert ratio.between(10**-0.4 - 1e-9, 1 + 1e-9).all()
    separation = np.hypot(table["mass_b_x"] - table["mass_x"], table["mass_b_y"] - table["mass_y"])
    assert separation.between(0.4, 2.0).all()
    targets = parts[parts["role"] == Role.TARGET]
    place = targets.groupby("scene")[["x", "y"]].last().to_numpy()
    np.testing.assert_allclose(place, table[["mass_b_x", "mass_b_y"]].to_numpy())
    # about half of the pairs are centred on their middle
    centred = np.hypot(*(table[f"mass_{axis}"] + ratio**2 * table[f"mass_b_{axis}"] for axis in "xy")) < 0.6
    assert 0.2 < centred.mean() < 0.9
    for builder, partner in zip(found, lenses.controls(settings, found, rng), strict=True):
        assert builder.row["theta_E_b"] == partner.row["theta_E_b"]
        assert [p for p in builder.components if p[1] == 0] == [p for p in partner.components if p[1] == 0]
    none, _ = lenses.draw_single(replace(SETTINGS, second_deflector=0.0), catalogs, "test", rng)
    assert (to_table(none).scenes["theta_E_b"] == 0).all()
