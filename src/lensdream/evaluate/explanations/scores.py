"""Scores of maps against the simulator's masks of the arcs, and intervals of such scores.

A map is (y, x), larger for more evidence for a lens; its negative parts count as no evidence. A score is NaN,
never a hit, where the mask is empty or the map has no positive part. Ties are broken by their expectation, so that a
constant map has the score of chance: the share of the mask in the image.
Definitions: relevance mass and rank accuracy of Arras et al. 2022 (CLEVR-XAI, arXiv:2003.07258), pointing game of
Zhang et al. 2016 (arXiv:1608.00507) without tolerance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from lensdream.runtime.files import without_nan


def chance(mask: np.ndarray) -> float:
    """Share of the image that the mask (y, x) bool covers: the expected score of a random map."""
    return float(mask.mean()) if mask.any() else math.nan


def relevance_mass(relevance: np.ndarray, mask: np.ndarray) -> float:
    """Share of the positive relevance (y, x) that lies inside the mask (y, x) bool [0, 1]."""
    positive = _positive(relevance, mask)
    if positive is None:
        return math.nan
    return float(positive[mask].sum() / positive.sum())


def rank_accuracy(relevance: np.ndarray, mask: np.ndarray) -> float:
    """Share of the K most relevant pixels inside the mask of K pixels [0, 1]."""
    positive = _positive(relevance, mask)
    if positive is None:
        return math.nan
    k = int(mask.sum())
    threshold = np.partition(positive, -k, axis=None)[-k]
    above, tied = positive > threshold, positive == threshold
    left = k - above.sum()  # number of pixels drawn at random from the tied ones
    return float((above & mask).sum() + left * (tied & mask).sum() / tied.sum()) / k


def pointing(relevance: np.ndarray, mask: np.ndarray) -> float:
    """1 if the most relevant pixel lies inside the mask, else 0; of tied ones, the share inside."""
    positive = _positive(relevance, mask)
    if positive is None:
        return math.nan
    return float(mask[positive == positive.max()].mean())


def _positive(relevance: np.ndarray, mask: np.ndarray) -> np.ndarray | None:
    """Positive part of a map, or None where no score is defined. Raises `ValueError` for unlike shapes and for NaN."""
    if relevance.shape != mask.shape or relevance.ndim != 2:
        raise ValueError(f"a map {relevance.shape} and its mask {mask.shape} must both be (y, x) of one size")
    if not np.isfinite(relevance).all():
        raise ValueError("the map holds values that are not finite: the method that made it has failed")
    positive = np.maximum(relevance, 0.0).astype(np.float64)
    return positive if mask.any() and positive.any() else None


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval; NaN where nothing was defined."""

    value: float
    low: float
    high: float

    def as_json(self) -> dict[str, float | None]:
        """Value and bounds for a metrics file, with None for NaN."""
        return without_nan(vars(self))


def bootstrapped_mean(values: np.ndarray, seed: int, resamplings: int = 2000) -> Interval:
    """Mean over scenes of values (n,), NaN left out, with the 2.5 and 97.5 % points of a bootstrap over scenes."""
    return bootstrapped_ratio(values, np.ones_like(values, float), seed, resamplings)


def bootstrapped_ratio(above: np.ndarray, below: np.ndarray, seed: int, resamplings: int = 2000) -> Interval:
    """Ratio of two means over the same scenes (n,), scenes with a NaN in either left out, with its 95 % interval."""
    defined = ~(np.isnan(above) | np.isnan(below))
    above, below = np.asarray(above, float)[defined], np.asarray(below, float)[defined]
    if not len(above):
        return Interval(math.nan, math.nan, math.nan)
    draws = np.random.default_rng(seed).integers(len(above), size=(resamplings, len(above)))
    low, high = np.percentile(above[draws].mean(1) / below[draws].mean(1), (2.5, 97.5))
    return Interval(float(above.mean() / below.mean()), float(low), float(high))


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's correlation of two sets of values (n,) [-1, 1]; NaN for fewer than three or where one never changes."""
    if len(one) < 3:
        return math.nan
    a, b = (rank - rank.mean() for rank in (rankdata(one), rankdata(other)))
    size = math.sqrt((a @ a) * (b @ b))
    return float(a @ b / size) if size > 0 else math.nan


def auroc(values: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve of values (n,) for positives (n,) bool [0, 1]; NaN where one class is missing."""
    n = int(positive.sum())
    others = len(positive) - n
    if not n or not others:
        return math.nan
    return float((rankdata(values)[positive].sum() - n * (n + 1) / 2) / (n * others))


def bootstrapped_rank_correlation(
    one: np.ndarray, other: np.ndarray, scene: np.ndarray, seed: int, resamplings: int = 1000
) -> Interval:
    """Spearman's correlation of values (n,) of many scenes, with its 95 % interval of a bootstrap over scenes.

    scene: (n,) scene of each value. Values with a NaN in either are left out.
    """
    defined = ~(np.isnan(one) | np.isnan(other))
    one, other, (scenes, owner) = one[defined], other[defined], np.unique(scene[defined], return_inverse=True)
    value = rank_correlation(one, other)
    if math.isnan(value):
        return Interval(math.nan, math.nan, math.nan)
    draws, drawn = np.random.default_rng(seed), []
    for _ in range(resamplings):
        times = np.bincount(draws.integers(len(scenes), size=len(scenes)), minlength=len(scenes))
        rows = np.repeat(np.arange(len(owner)), times[owner])
        drawn.append(rank_correlation(one[rows], other[rows]))
    low, high = np.nanpercentile(drawn, (2.5, 97.5))
    return Interval(value, float(low), float(high))
