"""Metrics of logits and labels, with bootstrap intervals: pure functions of arrays.

Examples
--------
>>> import numpy as np
>>> from lensdream import metrics
>>> metrics.auroc(np.array([2.0, 0.5, 1.0, -1.0]), np.array([1, 1, 0, 0]))
0.75
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit
from scipy.stats import binom, binomtest, rankdata

Interval = dict[str, float]
UNKNOWN: Interval = dict.fromkeys(("value", "low", "high"), float("nan"))


def precision(found: np.ndarray, labels: np.ndarray) -> float:
    """Share of lenses among the images classified as lenses; NaN without any.

    Parameters
    ----------
    found : ndarray of bool
        Images classified as lenses (N,).
    labels : ndarray
        1 for lenses, 0 for non-lenses (N,).

    Returns
    -------
    float
        In [0, 1].

    Examples
    --------
    >>> precision(np.array([True, True, False]), np.array([1, 0, 1]))
    0.5
    """
    return float(labels[found].mean()) if found.any() else float("nan")


def recall(found: np.ndarray, labels: np.ndarray) -> float:
    """Share of the lenses that are classified as lenses; NaN without lenses.

    Parameters
    ----------
    found : ndarray of bool
        Images classified as lenses (N,).
    labels : ndarray
        1 for lenses, 0 for non-lenses (N,).

    Returns
    -------
    float
        In [0, 1].

    Examples
    --------
    >>> recall(np.array([True, True, False]), np.array([1, 0, 1]))
    0.5
    """
    lenses = labels == 1
    return float(found[lenses].mean()) if lenses.any() else float("nan")


def f1(found: np.ndarray, labels: np.ndarray) -> float:
    """Harmonic mean of precision and recall.

    Parameters
    ----------
    found : ndarray of bool
        Images classified as lenses (N,).
    labels : ndarray
        1 for lenses, 0 for non-lenses (N,).

    Returns
    -------
    float
        In [0, 1]; NaN without lenses, found or true.

    Examples
    --------
    >>> f1(np.array([True, True, False]), np.array([1, 0, 1]))
    0.5
    """
    both = int((found & (labels == 1)).sum())
    total = int(found.sum()) + int((labels == 1).sum())
    return 2 * both / total if total else float("nan")


def auroc(logits: np.ndarray, labels: np.ndarray) -> float:
    """Area under the ROC curve: the chance that a lens outscores a non-lens (Mann & Whitney), ties half.

    Parameters
    ----------
    logits : ndarray
        Lens logits (N,).
    labels : ndarray
        1 for lenses, 0 for non-lenses (N,).

    Returns
    -------
    float
        In [0, 1]; NaN with one class only.

    Examples
    --------
    >>> auroc(np.array([2.0, 0.5, 1.0, -1.0]), np.array([1, 1, 0, 0]))
    0.75
    """
    n_lens, n_non = int((labels == 1).sum()), int((labels == 0).sum())
    if n_lens == 0 or n_non == 0:
        return float("nan")
    ranks = rankdata(logits)
    return float((ranks[labels == 1].sum() - n_lens * (n_lens + 1) / 2) / (n_lens * n_non))


def threshold_at_fpr(non_lens_logits: np.ndarray, fpr: float) -> float:
    """Lowest logit t for which at most this share of the non-lenses lies above t; NaN without non-lenses.

    With fewer than 1 / fpr non-lenses the threshold is the highest of them: no false positive is left.

    Parameters
    ----------
    non_lens_logits : ndarray
        Logits of non-lenses (N,).
    fpr : float
        Share of them that may lie above, in [0, 1).

    Returns
    -------
    float
        The threshold; images above it count as lenses.

    Examples
    --------
    >>> threshold_at_fpr(np.arange(100.0), 0.1)
    89.0
    """
    n = len(non_lens_logits)
    if n == 0:
        return float("nan")
    allowed = int(np.floor(fpr * n + 1e-9))
    return float(np.partition(non_lens_logits, n - 1 - allowed)[n - 1 - allowed])


def threshold_interval(non_lens_logits: np.ndarray, fpr: float) -> Interval:
    """Threshold of `threshold_at_fpr` with its 95 % interval, two of the logits.

    How many of n non-lenses lie above the true threshold is binomial, whatever their distribution; the interval is between
    the order statistics at its percentiles 2.5 and 97.5. A bound beyond the highest or lowest logit is NaN: there is none.

    Parameters
    ----------
    non_lens_logits : ndarray
        Logits of non-lenses (N,).
    fpr : float
        Share of them that may lie above, in [0, 1).

    Returns
    -------
    Interval
        `value`, `low` and `high` of the 95 % interval.

    Examples
    --------
    >>> threshold_interval(np.arange(100.0), 0.1)
    {'value': 89.0, 'low': 83.0, 'high': 95.0}
    """
    descending = np.sort(non_lens_logits)[::-1]
    fewest, most = (int(k) for k in binom.ppf([0.025, 0.975], len(descending), fpr))
    return {
        "value": threshold_at_fpr(non_lens_logits, fpr),
        "low": float(descending[most]) if most < len(descending) else float("nan"),
        "high": float(descending[fewest - 1]) if fewest > 0 else float("nan"),
    }


def tpr_at_fpr(logits: np.ndarray, labels: np.ndarray, fpr: float) -> float:
    """Completeness at the threshold of a false-positive rate.

    Parameters
    ----------
    logits : ndarray
        Lens logits (N,).
    labels : ndarray
        1 for lenses, 0 for non-lenses (N,).
    fpr : float
        False-positive rate, in [0, 1).

    Returns
    -------
    float
        Share of the lenses above the threshold.

    Examples
    --------
    >>> tpr_at_fpr(np.array([3.0, 1.0, 2.0, 0.0]), np.array([1, 1, 0, 0]), fpr=0.0)
    0.5
    """
    return float((logits[labels == 1] > threshold_at_fpr(logits[labels == 0], fpr)).mean())


def missed_ratio(logits: np.ndarray, labels: np.ndarray, fpr: float) -> float:
    """Ratio of the lenses missed by the first of two networks to those missed by the second; NaN where that misses none.

    `logits` are (N, 2), a column a network, each with its own threshold at the false-positive rate.

    Parameters
    ----------
    logits : ndarray
        Logits of two networks (N, 2).
    labels : ndarray
        1 for lenses, 0 for non-lenses (N,).
    fpr : float
        False-positive rate, in [0, 1).

    Returns
    -------
    float
        Above 1 where the second network misses fewer.

    Examples
    --------
    >>> logits = np.array([[3.0, 3.0], [1.0, 4.0], [1.0, 1.0], [2.0, 2.0]])
    >>> missed_ratio(logits, np.array([1, 1, 1, 0]), fpr=0.0)
    2.0
    """
    first, second = (1 - tpr_at_fpr(column, labels, fpr) for column in logits.T)
    return first / second if second else float("nan")


def tpr_before_false_positives(logits: np.ndarray, labels: np.ndarray, allowed: int) -> float:
    """Completeness with at most `allowed` false positives; TPR0 and TPR10 of Metcalf et al. 2019 are 0 and 9.

    Parameters
    ----------
    logits : ndarray
        Lens logits (N,).
    labels : ndarray
        1 for lenses, 0 for non-lenses (N,).
    allowed : int
        False positives, 0 or more.

    Returns
    -------
    float
        Share of the lenses above the threshold.

    Examples
    --------
    >>> tpr_before_false_positives(np.array([3.0, 1.0, 2.0, 0.0]), np.array([1, 1, 0, 0]), allowed=1)
    1.0
    """
    non = np.sort(logits[labels == 0])[::-1]
    threshold = non[allowed] if allowed < len(non) else -np.inf
    return float((logits[labels == 1] > threshold).mean())


def purity_at_prevalence(tpr: float, fpr: float, prevalence: float) -> float:
    """Share of lenses among the candidates of a survey in which this share of objects are lenses.

    Parameters
    ----------
    tpr : float
        Completeness, in [0, 1].
    fpr : float
        False-positive rate, in [0, 1].
    prevalence : float
        Share of lenses among all objects, in [0, 1].

    Returns
    -------
    float
        In [0, 1]; NaN where nothing is found.

    Examples
    --------
    >>> round(purity_at_prevalence(tpr=0.9, fpr=1e-3, prevalence=1e-3), 3)
    0.474
    """
    found = prevalence * tpr + (1 - prevalence) * fpr
    return prevalence * tpr / found if found else float("nan")


def expected_calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None, bins: int = 15
) -> float:
    """Mean distance of probability and lens share over bins of equal width, weighted by their counts (Guo et al. 2017).

    Parameters
    ----------
    probabilities : ndarray
        Lens probabilities (N,).
    labels : ndarray
        1 for lenses, 0 for non-lenses (N,).
    weights : ndarray, optional
        Weight of each image (N,); 1 by default.
    bins : int
        Number of bins.

    Returns
    -------
    float
        In [0, 1]; NaN without images.

    Examples
    --------
    >>> round(expected_calibration_error(np.full(4, 0.7), np.array([1, 1, 0, 0])), 6)
    0.2
    """
    weights = np.ones(len(probabilities)) if weights is None else weights
    which = np.clip((probabilities * bins).astype(int), 0, bins - 1)
    gap = np.bincount(which, weights * (probabilities - labels), minlength=bins)
    return float(np.abs(gap).sum() / weights.sum()) if len(weights) else float("nan")


def error_if_calibrated(probabilities: np.ndarray, n: int, rng: np.random.Generator) -> Interval:
    """Calibration error of as many images whose probabilities are right, with the 95 % range of `n` sets of labels.

    The distance in a bin is never negative, so the error of a calibrated network is above zero.

    Parameters
    ----------
    probabilities : ndarray
        Lens probabilities (N,).
    n : int
        Sets of labels that are drawn.
    rng : numpy.random.Generator
        Of the labels.

    Returns
    -------
    Interval
        `value`, `low` and `high` of the 95 % interval.

    Examples
    --------
    >>> error = error_if_calibrated(np.full(100, 0.5), 200, np.random.default_rng(1))
    >>> error["low"] < error["value"] < error["high"]
    True
    """
    drawn = [
        expected_calibration_error(probabilities, rng.random(len(probabilities)) < probabilities) for _ in range(n)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5]) if len(probabilities) else (float("nan"), float("nan"))
    return {"value": float(np.mean(drawn)), "low": float(low), "high": float(high)}


def equal_classes(labels: np.ndarray) -> np.ndarray:
    """Weights (N,) by which lenses (1) and non-lenses (0) count the same in all, their sum being N.

    Parameters
    ----------
    labels : ndarray of int
        1 for lenses, 0 for non-lenses (N,).

    Returns
    -------
    ndarray
        (N,).

    Examples
    --------
    >>> equal_classes(np.array([1, 0, 0, 0])).round(2)
    array([2.  , 0.67, 0.67, 0.67])
    """
    counts = np.bincount(labels, minlength=2)
    return (len(labels) / 2 / np.maximum(counts, 1))[labels]


def fit_temperature(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Temperature T > 0 that makes sigmoid(logit / T) likeliest (Guo et al. 2017).

    Parameters
    ----------
    logits : ndarray
        Lens logits (N,).
    labels : ndarray
        1 for lenses, 0 for non-lenses (N,).
    weights : ndarray, optional
        Weight of each image (N,); 1 by default.

    Returns
    -------
    float
        Between exp(-3) and exp(3).

    Examples
    --------
    >>> logits = np.repeat([2.0, -2.0], 100)
    >>> labels = np.r_[np.arange(100) < 73, np.arange(100) >= 73].astype(int)  # right in 73 %, where logits of 1 would be
    >>> round(fit_temperature(logits, labels), 1)
    2.0
    """

    def loss(log_t: float) -> float:
        scaled = logits / np.exp(log_t)
        return float(np.average(np.logaddexp(0, scaled) - labels * scaled, weights=weights))

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x))


def probability(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Lens probability of logits.

    Parameters
    ----------
    logits : ndarray
        Lens logits, of any shape.
    temperature : float
        Of `fit_temperature`.

    Returns
    -------
    ndarray
        In [0, 1], the shape of `logits`.

    Examples
    --------
    >>> probability(np.array([0.0, 2.0]), temperature=2.0).round(3)
    array([0.5  , 0.731])
    """
    return expit(np.asarray(logits, float) / temperature)


def bootstrap(
    measure: Callable[[np.ndarray, np.ndarray], float],
    logits: np.ndarray,
    labels: np.ndarray,
    n: int,
    rng: np.random.Generator,
    *,
    biased: bool = False,
) -> Interval:
    """Measure of (logits, labels) with its 95 % interval from resampling lenses and non-lenses separately.

    Parameters
    ----------
    measure : callable
        Of (logits, labels), gives a float.
    logits : ndarray
        Lens logits (N,).
    labels : ndarray
        1 for lenses, 0 for non-lenses (N,).
    n : int
        Number of resamplings.
    rng : numpy.random.Generator
        Of the resampling.
    biased : bool
        For a measure that scatter only raises, and that is not negative, such as a calibration error. A resampled one is
        raised twice, so the percentiles of its excess over the measure are taken from the measure (the basic bootstrap); the
        interval ends at the measure at the least.

    Returns
    -------
    Interval
        `value`, `low` and `high` of the 95 % interval.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> labels = np.repeat([1, 0], 100)
    >>> found = bootstrap(auroc, rng.normal(labels, 1.0), labels, 200, rng)
    >>> found["low"] < found["value"] < found["high"]
    True
    """
    lenses, non = np.flatnonzero(labels == 1), np.flatnonzero(labels != 1)
    draws = []
    for _ in range(n):
        chosen = np.concatenate([rng.choice(part, len(part)) for part in (lenses, non) if len(part)])
        draws.append(measure(logits[chosen], labels[chosen]))
    draws = [value for value in draws if np.isfinite(value)]
    low, high = np.percentile(draws, [2.5, 97.5]) if draws else (float("nan"), float("nan"))
    value = measure(logits, labels)
    if biased:
        low, high = max(0.0, 2 * value - high), max(value, 2 * value - low)
    return {"value": value, "low": float(low), "high": float(high)}


def resampled_thresholds(
    non_lens_logits: np.ndarray, rates: Mapping[str, float], n: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Thresholds (n,) of each false-positive rate, on as many non-lenses drawn from these with replacement.

    Parameters
    ----------
    non_lens_logits : ndarray
        Logits of non-lenses (N,).
    rates : mapping of str to float
        False-positive rates by name.
    n : int
        Number of resamplings.
    rng : numpy.random.Generator
        Of the resampling.

    Returns
    -------
    dict of str to ndarray
        Thresholds (n,) by the rates' names.

    Examples
    --------
    >>> drawn = resampled_thresholds(np.arange(100.0), {"1e-1": 0.1}, 50, np.random.default_rng(1))
    >>> drawn["1e-1"].shape
    (50,)
    """
    drawn: dict[str, list[float]] = {name: [] for name in rates}
    for _ in range(n):
        some = rng.choice(non_lens_logits, len(non_lens_logits))
        for name, rate in rates.items():
            drawn[name].append(threshold_at_fpr(some, rate))
    return {name: np.array(values) for name, values in drawn.items()}


def completeness(
    lens_logits: np.ndarray, threshold: float, resampled: np.ndarray, rng: np.random.Generator
) -> Interval:
    """Share of the lenses above a threshold, with its 95 % interval from lenses resampled and the thresholds resampled (n,).

    Parameters
    ----------
    lens_logits : ndarray
        Logits of lenses (N,).
    threshold : float
        Logit above which an image counts as a lens.
    resampled : ndarray
        Thresholds (n,), of `resampled_thresholds`.
    rng : numpy.random.Generator
        Of the resampling.

    Returns
    -------
    Interval
        `value`, `low` and `high` of the 95 % interval.

    Examples
    --------
    >>> found = completeness(np.arange(10.0), 4.0, np.full(200, 4.0), np.random.default_rng(1))
    >>> found["value"], found["low"] < 0.5 < found["high"]
    (0.5, True)
    """
    if len(lens_logits) == 0:
        return dict(UNKNOWN)
    n = len(lens_logits)
    above = 1 - np.searchsorted(np.sort(lens_logits), resampled, side="right") / n
    low, high = np.percentile(rng.binomial(n, above) / n, [2.5, 97.5])
    return {"value": float((lens_logits > threshold).mean()), "low": float(low), "high": float(high)}


def values_of(result: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Values of nested blocks with intervals, under dotted names; NaN is left out.

    Parameters
    ----------
    result : mapping
        Nested blocks; those with a `value` are numbers.
    prefix : str
        Put before every name.

    Yields
    ------
    iterator of (str, float)
        Names and numbers.

    Examples
    --------
    >>> list(values_of({"test": {"auroc": {"value": 0.9, "low": 0.8, "high": 1.0}}}))
    [('test.auroc', 0.9)]
    """
    for name, entry in result.items():
        if isinstance(entry, Mapping):
            if "value" not in entry:
                yield from values_of(entry, f"{prefix}{name}.")
            elif not np.isnan(entry["value"]):
                yield f"{prefix}{name}", entry["value"]


def bootstrap_groups(
    measure: Callable[[Mapping[str, np.ndarray]], Mapping[str, float]],
    groups: Mapping[str, np.ndarray],
    n: int,
    rng: np.random.Generator,
) -> dict[str, Interval]:
    """Several measures of groups of scores (N,), with 95 % intervals from resampling each group on its own.

    Parameters
    ----------
    measure : callable
        Of a mapping of names to scores, gives a mapping of names to floats.
    groups : mapping of str to ndarray
        Scores (N,) of each group.
    n : int
        Number of resamplings.
    rng : numpy.random.Generator
        Of the resampling.

    Returns
    -------
    dict of str to Interval
        By the measures' names.

    Examples
    --------
    >>> groups = {"lens": np.array([2.0, 3.0]), "spiral": np.array([0.0])}
    >>> gap = lambda scores: {"gap": scores["lens"].mean() - scores["spiral"].mean()}
    >>> float(bootstrap_groups(gap, groups, 100, np.random.default_rng(1))["gap"]["value"])
    2.5
    """
    draws = [
        measure({name: rng.choice(part, len(part)) if len(part) else part for name, part in groups.items()})
        for _ in range(n)
    ]
    found = {}
    for name, value in measure(groups).items():
        values = [draw[name] for draw in draws if np.isfinite(draw[name])]
        low, high = np.percentile(values, [2.5, 97.5]) if values else (float("nan"), float("nan"))
        found[name] = {"value": value, "low": float(low), "high": float(high)}
    return found


def share_with_interval(hits: np.ndarray, n: int, rng: np.random.Generator) -> Interval:
    """Share of hits with its 95 % bootstrap interval: resampled hits are binomial.

    Parameters
    ----------
    hits : ndarray of bool
        (N,).
    n : int
        Number of resamplings.
    rng : numpy.random.Generator
        Of the resampling.

    Returns
    -------
    Interval
        `value`, `low` and `high` of the 95 % interval.

    Examples
    --------
    >>> share_with_interval(np.array([True, False, False, False]), 100, np.random.default_rng(1))["value"]
    0.25
    """
    if len(hits) == 0:
        return dict(UNKNOWN)
    value = float(np.mean(hits))
    low, high = np.percentile(rng.binomial(len(hits), value, n) / len(hits), [2.5, 97.5])
    return {"value": value, "low": float(low), "high": float(high)}


def rare_share(hits: np.ndarray) -> Interval:
    """Share of hits with its 95 % interval after Wilson, valid for a few hits and for none.

    Parameters
    ----------
    hits : ndarray of bool
        (N,).

    Returns
    -------
    Interval
        `value`, `low` and `high` of the 95 % interval.

    Examples
    --------
    >>> rare_share(np.zeros(100, bool))["high"] > 0.03  # none of 100, and yet up to 4 % are possible
    True
    """
    return wilson(int(np.sum(hits)), len(hits))


def wilson(hits: int, n: int) -> Interval:
    """Share of `hits` in n with its 95 % interval after Wilson (1927); NaN for n = 0.

    Parameters
    ----------
    hits : int
        Number of hits.
    n : int
        Number of trials.

    Returns
    -------
    Interval
        `value`, `low` and `high` of the 95 % interval.

    Examples
    --------
    >>> {name: round(bound, 3) for name, bound in wilson(1, 100).items()}
    {'value': 0.01, 'low': 0.002, 'high': 0.054}
    """
    if n == 0:
        return dict(UNKNOWN)
    bounds = binomtest(hits, n).proportion_ci(method="wilson")
    return {"value": hits / n, "low": float(bounds.low), "high": float(bounds.high)}
