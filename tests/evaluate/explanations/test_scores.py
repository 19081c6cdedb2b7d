"""Scores of maps made by hand."""

import math

import numpy as np
import pytest

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


def test_a_score_that_no_scene_defines_is_null_in_the_metrics():
    interval = bootstrapped_mean(np.array([np.nan]), seed=0)
    assert interval.as_json() == {"value": None, "low": None, "high": None}


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
