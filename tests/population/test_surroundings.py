"""Neighbours by chance, and artefacts now and then."""

import numpy as np
import pandas as pd
import pytest

from lensdream.config import FIELD_WIDTH, PopulationConfig
from lensdream.instrument import Band, microjansky
from lensdream.population import surroundings
from lensdream.population.builder import SceneBuilder, empty_scene
from lensdream.population.catalogs import Catalogs
from lensdream.population.surroundings import add_neighbours, surround
from lensdream.scene import Role

FRAMES = 400
PER_FRAME = 2.5


def catalogs(magnitude):
    """Galaxies of one VIS magnitude, as many as give `PER_FRAME` neighbours a frame."""
    n = 200
    galaxies = pd.DataFrame({"z": np.full(n, 0.8), "M": -20.0, "r_e": 0.3, "q": 0.7, "red": False})
    for band in Band:
        galaxies[f"flux_{band.name}"] = microjansky(magnitude)
    return Catalogs(galaxies, pd.DataFrame(), n * (FIELD_WIDTH / 60) ** 2 / PER_FRAME)


def frames(fill):
    rng, builders = np.random.default_rng(8), []
    for _ in range(FRAMES):
        row = empty_scene("field", 0, "test", rng).row
        builders.append(SceneBuilder(row, []))
        fill(builders[-1], rng)
    return builders


@pytest.fixture
def places(monkeypatch):
    """Places (x, y) of the neighbours, as they are added."""
    found, add = [], surroundings.add_galaxy

    def noted(builder, role, galaxy, x, y, rng):
        assert role == Role.NEIGHBOUR
        found.append((x, y))
        add(builder, role, galaxy, x, y, rng)

    monkeypatch.setattr(surroundings, "add_galaxy", noted)
    return found


@pytest.mark.parametrize("magnitude", [22.0, 25.0])
def test_neighbours_are_as_many_as_the_sky_has_and_bright_ones_not_on_the_target(places, magnitude):
    drawn = frames(lambda builder, rng: add_neighbours(builder, catalogs(magnitude), rng, 25.5))
    assert {part.role for builder in drawn for part in builder.components} == {Role.NEIGHBOUR}
    at = np.array(places)
    taken_out = np.pi / FIELD_WIDTH**2 if magnitude < 24.5 else 0.0
    expected = FRAMES * PER_FRAME * (1 - taken_out)
    assert len(at) == pytest.approx(expected, abs=4 * np.sqrt(expected))
    assert np.abs(at).max() <= FIELD_WIDTH / 2
    # uniform: the mean of squares of each axis is width^2 / 12
    np.testing.assert_allclose((at**2).mean(0), FIELD_WIDTH**2 / 12, rtol=0.12)
    assert (np.hypot(*at.T) > 1).all() == (magnitude < 24.5)


def test_galaxies_below_the_limit_are_no_neighbours():
    drawn = frames(lambda builder, rng: add_neighbours(builder, catalogs(26.0), rng, 25.5))
    assert not any(builder.components for builder in drawn)


@pytest.mark.parametrize("rate", [0.0, 0.25, 1.0])
def test_artefacts_come_at_their_rate(rate):
    artefacts = ("cosmic_rays", "hot_pixels", "dead_columns", "edge", "missing_bands")
    settings = PopulationConfig(artefact_rate=rate)
    # no galaxy is above the limit: what has components has an artefact
    drawn = frames(lambda builder, rng: surround(builder, catalogs(26.0), rng, settings))
    hit = sum(bool(builder.components) or any(builder.row[name] for name in artefacts) for builder in drawn)
    assert hit == pytest.approx(FRAMES * rate, abs=4 * np.sqrt(FRAMES * rate * (1 - rate)))
