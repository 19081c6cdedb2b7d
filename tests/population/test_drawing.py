"""Scenes drawn in chunks, as many of each family as asked for."""

import dataclasses

import pandas as pd
import pytest

from conftest import POPULATION
from lensdream.commands import population
from lensdream.families import LENS
from lensdream.population import drawing
from lensdream.population.drawing import SceneDrawer


@pytest.mark.parametrize("n", [2, 57, 1000])
@pytest.mark.parametrize("lens_fraction", [0.0, 0.1, 0.5, 1.0])
def test_chunks_add_up_to_the_scenes_asked_for(n, lens_fraction):
    settings = dataclasses.replace(POPULATION, lens_fraction=lens_fraction)
    chunks = drawing.labelled_chunks(settings, "train", n)
    assert sum(chunk.n + chunk.controls for chunk in chunks) == n
    assert sum(chunk.n for chunk in chunks if chunk.family == LENS) == round(n * lens_fraction)
    assert all(max(chunk.n, chunk.controls) <= drawing.CHUNK_SIZE for chunk in chunks)
    assert len({(chunk.family, chunk.number) for chunk in chunks}) == len(chunks)


def test_a_population_is_what_was_asked_for(few_catalogs):
    scenes = drawing.draw_scenes(POPULATION, 1)
    counts = population.summary(scenes)["counts"]
    assert {name: sum(n for key, n in counts.items() if key.startswith(name)) for name in ("train", "validation")} == {
        "train": 30, "validation": 12,
    }  # fmt: skip
    assert counts["train/lens"] == 15
    assert counts["train/elliptical"] == 3
    assert counts["test/undetectable"] == 3
    assert counts["compound/matched_single"] == 6
    assert counts["compound/faint_second"] == 2
    assert {name: n for name, n in counts.items() if name.startswith("compound_train")} == {
        "compound_train/compound_arc": 2, "compound_train/double_ring": 1, "compound_train/matched_single": 3,
    }  # fmt: skip
    table = scenes.scenes
    assert table["index"].tolist() == list(range(len(table)))
    assert scenes.components["scene"].is_monotonic_increasing
    assert table["seed"].nunique() == len(table) - sum(
        n for key, n in counts.items() if key.endswith(("/matched_single", "/elliptical"))
    )
    paired = table[table["partner"] >= 0]
    partners = table.loc[paired["partner"]]
    assert partners["partner"].tolist() == paired["index"].tolist()
    assert (partners["seed"].to_numpy() == paired["seed"].to_numpy()).all()
    assert (partners["mass_q"].to_numpy() == paired["mass_q"].to_numpy()).all()
    assert set(zip(paired["family"], partners["family"], strict=True)) == {
        ("lens", "elliptical"), ("elliptical", "lens"), ("compound_arc", "matched_single"),
        ("matched_single", "compound_arc"), ("double_ring", "matched_single"), ("matched_single", "double_ring"),
        ("faint_second", "matched_single"), ("matched_single", "faint_second"),
    }  # fmt: skip


@pytest.mark.slow
def test_a_population_does_not_depend_on_the_processes(few_catalogs):
    settings = dataclasses.replace(POPULATION, test=0, compound_arc=0, double_ring=0)
    one, two = (drawing.draw_scenes(settings, workers) for workers in (1, 2))
    pd.testing.assert_frame_equal(one.scenes, two.scenes)
    pd.testing.assert_frame_equal(one.components, two.components)


def test_more_controls_than_lenses_leave_some_without_a_partner(catalogs):
    drawer = SceneDrawer.start(POPULATION, catalogs)
    table = drawer.draw(drawing.Chunk("lens", "train", 0, n=2, controls=4)).scenes
    assert table["family"].tolist() == ["lens"] * 2 + ["elliptical"] * 4
    assert table["partner"].tolist() == [2, 3, 0, 1, -1, -1]


def test_no_scenes_asked_for_are_no_scenes_drawn(few_catalogs):
    numbers = (
        "train", "validation", "test", "undetectable", "compound_arc", "double_ring", "faint_second",
        "compound_arc_train", "double_ring_train",
    )  # fmt: skip
    scenes = drawing.draw_scenes(dataclasses.replace(POPULATION, **dict.fromkeys(numbers, 0)), 1)
    assert len(scenes) == len(scenes.components) == 0
    assert population.summary(scenes)["counts"] == {}


def test_a_family_that_the_settings_allow_none_of_names_the_remedy(catalogs, monkeypatch):
    monkeypatch.setattr(drawing, "MAX_EMPTY_ROUNDS", 2)
    drawer = SceneDrawer.start(dataclasses.replace(POPULATION, minimum_magnification=100.0), catalogs)
    with pytest.raises(ValueError, match="2 rounds gave no double_ring, 5 are wanted: loosen minimum_arc_snr"):
        drawer.draw(drawing.Chunk("double_ring", "compound", 0, 5))
