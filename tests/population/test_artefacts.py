"""Artefacts: what a scene's row says, and what becomes of the image."""

import numpy as np
import pytest

from conftest import ROOT
from lensdream import config
from lensdream.instrument import EUCLID
from lensdream.population import artefacts, nonlenses
from lensdream.population.builder import empty_scene
from lensdream.population.catalogs import draw_catalogs
from lensdream.scene import Role

SETTINGS = config.load("population", config.PopulationConfig, "quick", ROOT / "params.yaml")


FLAWS = ("cosmic_rays", "hot_pixels", "dead_columns", "edge", "missing_bands")


def spoilt_draft(kind, seed):
    rng = np.random.default_rng(seed)
    builder = empty_scene("empty", 0, "test", rng)
    kind(builder, rng)
    return builder


def has_flaw(builder):
    return any(builder.row[name] for name in FLAWS)


def test_the_shares_of_the_kinds_add_up_to_one():
    assert sum(artefacts.ARTEFACTS.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("kind", artefacts.ARTEFACTS, ids=lambda kind: kind.__name__)
def test_every_kind_leaves_one_trace_of_sensible_size(kind):
    for seed in range(20):
        builder = spoilt_draft(kind, seed)
        row, parts = builder.row, builder.components
        assert has_flaw(builder) + len(parts) == 1
        assert sum(bool(row[name]) for name in FLAWS) <= 1
        assert row["edge"] == 0 or 0.05 <= row["edge"] <= 0.45
        assert row["edge_side"] in range(4)
        assert row["missing_bands"] in (0, 2, 4, 8, 14)
        for part in parts:
            assert part.role == Role.NEIGHBOUR
            assert part.plane == 0


@pytest.mark.parametrize("kind", [artefacts.ghost, artefacts.trail], ids=lambda kind: kind.__name__)
def test_ghosts_and_trails_shine_in_one_band(kind):
    for seed in range(20):
        (part,) = spoilt_draft(kind, seed).components
        in_sky = np.array(part.flux) / np.array(EUCLID.sky_sigma)
        assert np.sort(in_sky)[-2] <= 0.1 * in_sky.max()


def test_the_artefact_family_always_has_one_and_others_seldom():
    catalogs, rng = draw_catalogs(3, 0.02, 27.0, 20_000), np.random.default_rng(5)
    flawed = 0
    for _ in range(60):
        builder = nonlenses.draw("artefact", catalogs, "test", rng, SETTINGS)
        # a ghost or a trail is the last component, the only one that shines in one band
        last = np.array(builder.components[-1].flux) / EUCLID.sky_sigma if builder.components else np.ones(4)
        in_one_band = np.sort(last)[-2] <= 0.1 * last.max()
        assert has_flaw(builder) != in_one_band
        flawed += has_flaw(builder)
    assert 30 < flawed < 60
    spoilt = [has_flaw(nonlenses.draw("field", catalogs, "test", rng, SETTINGS)) for _ in range(100)]
    assert sum(spoilt) < 15
