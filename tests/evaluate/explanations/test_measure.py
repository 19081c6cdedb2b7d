"""Metrics of the study, on tables made by hand."""

import numpy as np
import pandas as pd
import pytest

from lensdream.evaluate.explanations import measure
from lensdream.instrument import Band


@pytest.fixture
def mask():
    mask = np.zeros((10, 10), bool)
    mask[2:5, 3:7] = True
    return mask


def test_score_maps_counts_the_undefined(mask):
    arcs = np.stack([mask, mask, np.zeros_like(mask)])
    images = np.random.default_rng(0).random((3, 4, 10, 10))
    maps = {"perfect": arcs * 1.0, "silent": np.zeros((3, 10, 10)), "uniform": np.ones((3, 10, 10))}
    family = np.array(["lens", "double_ring", "double_ring"])
    result = measure.score_maps(maps, images, arcs, family, seed=0)
    assert result["perfect"]["relevance_mass"] == {"value": 1, "low": 1, "high": 1}
    assert result["perfect"]["n"] == 2
    assert result["perfect"]["n_undefined"] == 1
    assert result["perfect"]["times_chance"]["value"] == pytest.approx(1 / 0.12)
    perfect = result["perfect"]
    assert perfect["times_brightness"]["value"] == pytest.approx(1 / perfect["brightness"]["value"])
    assert perfect["families"]["double_ring"]["n"] == 1
    assert result["silent"]["n"] == 0
    assert result["silent"]["pointing"]["value"] is None
    assert result["uniform"]["relevance_mass"]["value"] == pytest.approx(0.12)
    for control in ("chance", "brightness", "random"):
        assert result["perfect"][control]["value"] == pytest.approx(0.12, abs=0.05)


def ablated():
    """Two lenses of which the map knows the order of the parts, a double ring, and a spiral that is called a lens."""
    rows = [
        (0, "lens", "source_1", 2.0, 3.0, 10), (0, "lens", "target", 2.0, 0.5, 20), (0, "lens", "arcs", 2.0, 3.0, 10),
        (1, "lens", "source_1", -1.0, 1.0, 5), (1, "lens", "target", -1.0, -1.0, 0),
        (2, "double_ring", "source_1", 4.0, 1.5, 9), (2, "double_ring", "source_2", 4.0, 5.0, 9),
        (3, "spiral", "target", 0.5, 0.7, 30),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["scene", "family", "component", "logit", "change", "pixels"])
    return table.assign(inside_map=table["change"] * 16, inside_area=table["pixels"])


def test_ablation_is_summed_up_by_group_and_component():
    result = measure.measure_ablation(ablated(), seed=0)
    groups = result["components"]
    assert set(groups) == {"lens", "double_ring", "non_lenses", "false_positives"}
    assert groups["lens"]["source_1"]["logit_change"]["value"] == pytest.approx(2.0)
    assert groups["lens"]["source_1"]["lost"]["value"] == 1  # of the one that was called a lens
    assert groups["lens"]["target"]["lost"]["value"] == 0
    assert groups["double_ring"]["source_2"]["lost"]["value"] == 1
    assert groups["false_positives"]["target"]["n"] == 1
    assert result["rank_correlation"]["map"]["value"] == pytest.approx(1)
    assert (result["n"], result["n_undefined"]) == (6, 1)  # arcs are source 1 once more; a target is below the sky
    by_group = result["rank_correlation_by_group"]
    assert by_group["lens"]["map"]["value"] == pytest.approx(1)
    assert by_group["lens"]["area"]["value"] == pytest.approx(-0.5)  # areas 10, 20, 5 of losses 3, 0.5, 1
    assert by_group["double_ring"]["map"]["value"] is None  # of two components
    within = result["rank_correlation_within_scenes"]["map"]
    assert (within["value"], within["n"]) == (None, 0)  # no scene has three
    assert result["source_2_first"]["double_ring"]["value"] == 1
    assert result["source_2_first"]["compound_arc"]["value"] is None


def test_components_are_ranked_within_their_scenes():
    rows = [
        (scene, "lens", name, 3.0, change, 9) for scene, changes in enumerate(((5.0, 3.0, 1.0), (0.5, 0.3, 0.1)))
        for name, change in zip(("source_1", "target", "neighbours"), changes, strict=True)
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["scene", "family", "component", "logit", "change", "pixels"])
    sums = [0.3, 0.2, 0.1, 30.0, 20.0, 10.0]  # the right order in each scene, the wrong one from scene to scene
    result = measure.measure_ablation(table.assign(inside_map=sums), seed=0)
    within = result["rank_correlation_within_scenes"]["map"]
    assert (within["value"], within["n"]) == (pytest.approx(1), 2)
    assert result["rank_correlation"]["map"]["value"] < 0.5


def test_sanity_is_one_for_maps_that_do_not_change_and_undefined_for_flat_ones():
    maps = np.random.default_rng(0).normal(size=(3, 6, 6))
    original = {"same": maps, "flat": np.zeros_like(maps)}
    result = measure.measure_sanity(original, {"head": {"same": -maps, "flat": maps}}, seed=0)
    assert result["same"]["head"]["value"] == pytest.approx(1)  # the size counts, not the sign
    assert result["flat"]["head"] == {"value": None, "low": None, "high": None, "n_undefined": 3}


def test_flat_has_no_null_and_no_family():
    tree = {"a": {"b": {"value": 1, "low": None}, "families": {"lens": {"n": 3}}}, "seconds": 2}
    assert measure.flat(tree) == {"a.b.value": 1.0, "seconds": 2.0}


def test_colours_of_dreams_are_held_against_the_scene_before():
    arcs = np.zeros((3, 4, 4), bool)
    arcs[:2, 1, 1:3] = True  # the third scene has no arc
    before = np.ones((3, len(Band), 4, 4))
    blue, red = before.copy(), before.copy()
    blue[:, Band.VIS] *= 10**0.4  # one magnitude brighter in VIS
    red[0, Band.H] *= 10**0.8
    red[1, Band.VIS] *= 10**0.04
    after = {("net", "towards_lens"): blue, ("net", "towards_non_lens"): red}
    change = {way: np.array([1.0, 2.0, 6.0]) for way in after}
    table = measure.dream_table(before, after, change, arcs, np.array(["lens", "double_ring", "lens"]))
    assert len(table) == 6
    result = measure.measure_dream(table, "net", seed=0)
    lens, non_lens = result["towards_lens"], result["towards_non_lens"]
    assert lens["arc_vis_minus_h_change"]["value"] == pytest.approx(-1.0)
    assert non_lens["arc_vis_minus_h_change"]["value"] == pytest.approx((2.0 - 0.1) / 2)
    assert (lens["bluer"]["value"], non_lens["bluer"]["value"]) == (1, 0.5)
    assert (lens["n"], lens["n_undefined"]) == (2, 1)
    assert lens["logit_change"]["value"] == pytest.approx(3.0)
    assert non_lens["families"]["double_ring"]["arc_vis_minus_h_change"]["value"] == pytest.approx(-0.1)
    assert result["between_ways"]["value"] == pytest.approx((-3.0 - 0.9) / 2)
