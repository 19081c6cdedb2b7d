"""Families of non-lenses: what they are made of, and that light is neither made nor lost."""

import numpy as np
import pytest

from conftest import ROOT
from galaxy_shapes import DRAWS, FLUX, SHAPES, parts_of
from lensdream import config
from lensdream.families import FAMILIES_NON_LENS
from lensdream.instrument import Band
from lensdream.population import nonlenses
from lensdream.population.builder import to_table
from lensdream.population.galaxy import Galaxy
from lensdream.population.morphology import arc, crest
from lensdream.scene import FLUX_COLUMNS, Role, Shape

SETTINGS = config.load("population", config.PopulationConfig, "quick", ROOT / "params.yaml")


MOST_PARTS = 12
"""components of a target and its companions, before the neighbours"""


def scenes_of(family, catalogs, seed=4):
    rng = np.random.default_rng(seed)
    return to_table([nonlenses.draw(family, catalogs, "test", rng, SETTINGS) for _ in range(DRAWS)])


def test_the_families_are_those_of_the_table_but_the_paired_control():
    assert tuple(nonlenses.FAMILIES) == tuple(name for name in FAMILIES_NON_LENS if name != "elliptical")


@pytest.mark.parametrize("family", sorted(nonlenses.FAMILIES))
def test_every_family_makes_scenes_without_mass_that_can_be_drawn(catalogs, family):
    scenes = scenes_of(family, catalogs)
    table, parts = scenes.scenes, scenes.components
    assert set(table["family"]) == {family}
    assert (table["label"] == 0).all()
    assert (table[["theta_E_1", "theta_E_2", "theta_E_12", "shear_1", "shear_2"]] == 0).all(axis=None)
    assert (parts["plane"] == 0).all()
    assert set(parts["role"]) <= {Role.TARGET, Role.NEIGHBOUR}
    assert np.isfinite(parts.to_numpy(float)).all()
    assert (parts[["r_e", "sersic_index", "q"]] > 0).all(axis=None)
    assert (parts["q"] <= 1).all()
    assert (parts[list(FLUX_COLUMNS)] >= 0).all(axis=None)
    assert (parts[["ring_width", "arm_contrast", "dust_width"]] >= 0).all(axis=None)
    assert (parts.loc[parts["arm_contrast"] > 0, "arm_number"] >= 1).all()
    assert (np.sin(parts["arm_pitch"]) != 0).all()  # arms without pitch would wind for ever
    with_target = parts.loc[parts["role"] == Role.TARGET, "scene"].nunique()
    assert with_target == {"empty": 0}.get(family, DRAWS) or family == "artefact"


@pytest.mark.parametrize("family", sorted(nonlenses.FAMILIES))
def test_a_scene_is_made_of_few_components(catalogs, family):
    rng = np.random.default_rng(6)
    builders = [nonlenses.FAMILIES[family](catalogs, "test", rng) for _ in range(DRAWS)]
    counts = [len(builder.components) for builder in builders]
    assert np.mean(counts) <= 8
    targets = [sum(part.role == Role.TARGET for part in builder.components) for builder in builders]
    assert max(targets) <= MOST_PARTS


@pytest.mark.parametrize("family", sorted(nonlenses.FAMILIES))
def test_the_same_seed_draws_the_same_scenes(catalogs, family):
    one, two = (nonlenses.draw(family, catalogs, "test", np.random.default_rng(9), SETTINGS) for _ in range(2))
    assert one.components == two.components
    assert one.row["seed"] == two.row["seed"]


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_a_shape_shares_out_the_light_that_there_is(shape):
    parts = parts_of(SHAPES[shape])
    assert parts["flux_VIS"].min() >= 0
    assert parts.groupby("scene")["flux_VIS"].sum().to_numpy() == pytest.approx(np.full(DRAWS, FLUX[Band.VIS]))


@pytest.mark.parametrize("family", ["spiral", "ring", "merger", "edge_on", "group"])
def test_targets_are_as_bright_as_deflectors(catalogs, family):
    parts = scenes_of(family, catalogs).components
    flux = parts[parts["role"] == Role.TARGET].groupby("scene")["flux_VIS"].sum()
    assert flux.between(0.999 * nonlenses.FAINTEST, 1.001 * nonlenses.BRIGHTEST).all()


def test_dust_hides_more_of_an_edge_on_disc_in_vis_than_in_h():
    parts = parts_of(SHAPES["edge_on"])
    dusty = parts[parts["dust_width"] > 0]
    assert 0.4 < dusty["scene"].nunique() / DRAWS < 0.9
    for _, lane in dusty.iterrows():
        disc = parts[(parts["scene"] == lane["scene"]) & (parts["r_e"] == lane["r_e"])]
        assert len(disc) == 2
        share = lane[list(FLUX_COLUMNS)].to_numpy(float) / disc[list(FLUX_COLUMNS)].sum().to_numpy()
        assert share[Band.VIS] > 0.6 > 0.4 > share[Band.H]
    assert (parts.groupby("scene")["q"].min() <= 0.25).all()


def test_members_of_a_group_have_one_colour(catalogs):
    rng = np.random.default_rng(3)
    for _ in range(10):
        parts = to_table([nonlenses.group(catalogs, "test", rng)]).components
        target, members = (parts[parts["role"] == role] for role in (Role.TARGET, Role.NEIGHBOUR))
        expected = np.log10(target["flux_H"].sum() / target["flux_VIS"].sum())
        difference = 2.5 * np.abs(np.log10(members["flux_H"] / members["flux_VIS"]) - expected)
        assert 2 <= (difference < 0.25).sum() <= len(members)


def test_an_arc_is_brightest_where_it_is_meant_to_be():
    # crest() is the zero of the phase of optics.sersic.spiral_arms
    assert crest(arc(0.7, 3.0, 0.1), 1.0) == pytest.approx(0.7)
    assert crest(arc(0.7, 3.0, 0.1, number=2), 1.3, arm=1) == pytest.approx(0.7 + np.pi)
    spiral = Shape(arm_contrast=1.0, arm_number=2.0, arm_pitch=0.3, arm_phase=0.4)
    phase = 2 * (crest(spiral, 1.7) - np.log(1.7) / np.tan(0.3)) + 0.4
    assert np.cos(phase) == pytest.approx(1.0)


def test_a_point_of_a_disc_lies_on_its_ellipse():
    body = Galaxy(1.0, 2.0, 0.5, 0.25, np.pi / 2, FLUX)
    x, y = body.sky(body.disc_point(0.5, 0.0))  # along the major axis, which points up; 0.5 / sqrt(q) = 1
    assert (x, y) == pytest.approx((1.0, 3.0))
    x, y = body.sky(body.disc_point(0.5, np.pi / 2))
    assert (x, y) == pytest.approx((0.75, 2.0))
