"""Scores of maps made by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from lensdream.evaluate.explanations import measure
from lensdream.evaluate.explanations.scores import (
    bootstrapped_mean,
    bootstrapped_rank_correlation,
    bootstrapped_ratio,
    chance,
    pointing,
    rank_accuracy,
    rank_correlation,
    relevance_mass,
)
from lensdream.instrument import Band

SCORES = (relevance_mass, rank_accuracy, pointing)


@pytest.fixture
def mask():
    mask = np.zeros((10, 10), bool)
    mask[2:5, 3:7] = True
    return mask


@pytest.mark.parametrize("score", SCORES)
class TestEveryScore:
    def test_perfect_map_is_one(self, score, mask):
        assert score(mask * 2.5, mask) == 1

    def test_inverse_map_is_zero(self, score, mask):
        assert score(~mask * 2.5, mask) == 0

    def test_uniform_map_is_chance(self, score, mask):
        assert score(np.full(mask.shape, 0.3), mask) == pytest.approx(0.12)
        assert chance(mask) == 0.12

    def test_empty_mask_is_undefined_and_never_a_hit(self, score, mask):
        assert math.isnan(score(mask * 1.0, np.zeros_like(mask)))
        assert math.isnan(chance(np.zeros_like(mask)))

    def test_map_without_positive_part_is_undefined(self, score, mask):
        assert math.isnan(score(np.zeros(mask.shape), mask))
        assert math.isnan(score(-(mask * 1.0), mask))

    def test_negative_evidence_is_no_evidence(self, score, mask):
        assert score(np.where(mask, 1.0, -100.0), mask) == 1

    def test_map_with_nan_is_refused(self, score, mask):
        with pytest.raises(ValueError, match="not finite"):
            score(np.full(mask.shape, np.nan), mask)

    def test_other_shape_is_refused(self, score, mask):
        with pytest.raises(ValueError, match="one size"):
            score(np.zeros((5, 5)), mask)


def test_relevance_mass_is_a_share_of_mass(mask):
    relevance = np.zeros(mask.shape)
    relevance[3, 4], relevance[9, 9] = 3.0, 1.0
    assert relevance_mass(relevance, mask) == 0.75


def test_rank_accuracy_counts_ranks_and_shares_ties(mask):
    relevance = np.zeros(mask.shape)
    relevance[3, 4], relevance[9, 9] = 1.0, 5.0
    # one hit, one miss, and ten places for 98 pixels at zero, 11 of them inside
    assert rank_accuracy(relevance, mask) == pytest.approx((1 + 10 * 11 / 98) / 12)


def test_bootstrap_leaves_nan_out_and_holds_the_mean():
    values = np.array([0.1, 0.5, np.nan, 0.9])
    interval = bootstrapped_mean(values, seed=0)
    assert interval.value == pytest.approx(0.5)
    assert interval.low < 0.5 < interval.high
    assert interval == bootstrapped_mean(values, seed=0)


def test_ratio_is_of_the_means():
    interval = bootstrapped_ratio(np.array([1.0, 3.0]), np.array([0.5, 0.5]), seed=0)
    assert interval.value == pytest.approx(4.0)


def test_nothing_defined_is_null_in_the_metrics():
    interval = bootstrapped_mean(np.array([np.nan]), seed=0)
    assert interval.as_json() == {"value": None, "low": None, "high": None}


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


def test_rank_correlation_knows_order_and_ties():
    assert rank_correlation(np.array([1.0, 2, 30]), np.array([0.1, 0.2, 0.3])) == pytest.approx(1)
    assert rank_correlation(np.array([1.0, 2, 30]), np.array([3.0, 2, 1])) == pytest.approx(-1)
    # ranks 1.5 1.5 3 4 against 1 2 3 4
    assert rank_correlation(np.array([5.0, 5, 6, 7]), np.arange(4.0)) == pytest.approx(4.5 / math.sqrt(4.5 * 5))


def test_rank_correlation_without_order_is_undefined():
    assert math.isnan(rank_correlation(np.zeros(5), np.arange(5.0)))
    assert math.isnan(rank_correlation(np.arange(2.0), np.arange(2.0)))


def test_rank_correlation_is_resampled_by_scene():
    one, other = np.random.default_rng(0).normal(size=(2, 60))
    other = other + one
    one[0] = np.nan
    few, many = (bootstrapped_rank_correlation(one, other, np.arange(60) // k, seed=0) for k in (20, 1))
    assert few.value == many.value == pytest.approx(rank_correlation(one[1:], other[1:]))
    assert many.low < many.value < many.high


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
