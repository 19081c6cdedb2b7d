"""Tests of a copy of the package that CONTRIBUTING.md has added quasars to: `test_contributing.py` runs them there."""

import dataclasses
from pathlib import Path

import numpy as np

import lensdream
from lensdream import config
from lensdream.config import PopulationConfig, SimulateConfig, SurveyConfig
from lensdream.dataset import family_examples, target_mix
from lensdream.dataset.store import ImageStore
from lensdream.dataset.write import write_store
from lensdream.evaluate.atlas import COLOURS
from lensdream.evaluate.explanations.explained_set import NUMBERED
from lensdream.families import BY_NAME, COMPOUND, EMPTY, FAMILIES_NON_LENS, LENS, NON_LENS_CLASSES, QUASAR
from lensdream.instrument import Band
from lensdream.population import drawing, nonlenses
from lensdream.population.builder import to_table
from lensdream.render.validate import refuse_impossible

ROOT = Path(__file__).parents[1]


def test_this_is_the_copy():
    assert Path(lensdream.__file__).is_relative_to(ROOT)


def test_the_family_is_the_last_non_lens_and_has_all_that_families_have():
    assert FAMILIES_NON_LENS[-1] == NON_LENS_CLASSES[-1] == QUASAR
    assert QUASAR in drawing.DRAWERS
    assert BY_NAME[QUASAR].note
    assert len(set(COLOURS.values())) == len(FAMILIES_NON_LENS)


def test_the_scenes_of_other_families_that_are_explained_stay_the_same():
    assert (LENS, *FAMILIES_NON_LENS[:-1], *COMPOUND, QUASAR) == NUMBERED


def test_the_family_is_valid_rendered_and_shown(catalogs, tmp_path):
    rng = np.random.default_rng(5)
    scenes = to_table([nonlenses.FAMILIES[name](catalogs, "test", rng) for name in (QUASAR, QUASAR, QUASAR, EMPTY)])
    refuse_impossible(scenes)
    simulate = config.load("simulate", SimulateConfig, "quick", ROOT / "params.yaml")
    write_store(scenes, dataclasses.replace(simulate, workers=1), tmp_path)
    store = ImageStore.open(tmp_path)
    vis = store.images(np.arange(4)).astype(float)[:, Band.VIS]
    middle = slice(store.stamp // 2 - 5, store.stamp // 2 + 5)
    light = vis[:, middle, middle].sum((1, 2))
    assert np.isfinite(vis).all()
    assert (light[:3] > 5 * abs(light[3])).all()
    assert list(family_examples.choose(store.truth, 2)) == [EMPTY, QUASAR]
    assert family_examples.draw(store, 2).axes


def test_the_family_is_drawn_in_its_shares(catalogs):
    settings = config.load("population", PopulationConfig, "quick", ROOT / "params.yaml")
    chunks = drawing.labelled_chunks(settings, "test", 1000)
    (chunk,) = (chunk for chunk in chunks if chunk.family == QUASAR)
    assert chunk.n == round(1000 * (1 - settings.lens_fraction) * 0.02)
    scenes = drawing.SceneDrawer.start(settings, catalogs).draw(dataclasses.replace(chunk, n=2))
    assert scenes.scenes["family"].tolist() == [QUASAR, QUASAR]
    refuse_impossible(scenes)
    survey = config.load("survey", SurveyConfig, "quick", ROOT / "params.yaml")
    assert target_mix.survey_shares(survey)[QUASAR] == 0.002
