"""Numbers from logits and labels, each with a bootstrap interval. Pure functions of arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit
from scipy.stats import binom, binomtest, rankdata

Interval = dict[str, float]
UNKNOWN: Interval = dict.fromkeys(("value", "low", "high"), float("nan"))


def precision(found: np.ndarray, labels: np.ndarray) -> float:
    """Share of lenses among what is called a lens; NaN where nothing is."""
    return float(labels[found].mean()) if found.any() else float("nan")


def recall(found: np.ndarray, labels: np.ndarray) -> float:
    """Share of the lenses that are called so; NaN without lenses."""
    lenses = labels == 1
    return float(found[lenses].mean()) if lenses.any() else float("nan")


def f1(found: np.ndarray, labels: np.ndarray) -> float:
    """Harmonic mean of precision and recall."""
    both = int((found & (labels == 1)).sum())
    total = int(found.sum()) + int((labels == 1).sum())
    return 2 * both / total if total else float("nan")


def auroc(logits: np.ndarray, labels: np.ndarray) -> float:
    """Area under the ROC curve: the chance that a lens outscores a non-lens (Mann & Whitney), ties half."""
    n_lens, n_non = int((labels == 1).sum()), int((labels == 0).sum())
    if n_lens == 0 or n_non == 0:
        return float("nan")
    ranks = rankdata(logits)
    return float((ranks[labels == 1].sum() - n_lens * (n_lens + 1) / 2) / (n_lens * n_non))


def threshold_at_fpr(non_lens_logits: np.ndarray, fpr: float) -> float:
    """Lowest logit t for which at most this share of the non-lenses lies above t; NaN without non-lenses.

    With fewer than 1 / fpr non-lenses it is the highest of them: no false positive is left.
    """
    n = len(non_lens_logits)
    if n == 0:
        return float("nan")
    allowed = int(np.floor(fpr * n + 1e-9))
    return float(np.partition(non_lens_logits, n - 1 - allowed)[n - 1 - allowed])


def threshold_interval(non_lens_logits: np.ndarray, fpr: float) -> Interval:
    """`threshold_at_fpr` with its 95 % interval, two of the logits.

    How many of n non-lenses lie above the true threshold is binomial, whatever their distribution; the interval is between
    the order statistics at its percentiles 2.5 and 97.5. A bound beyond the highest or lowest logit is NaN: there is none.
    """
    descending = np.sort(non_lens_logits)[::-1]
    fewest, most = (int(k) for k in binom.ppf([0.025, 0.975], len(descending), fpr))
    return {
        "value": threshold_at_fpr(non_lens_logits, fpr),
        "low": float(descending[most]) if most < len(descending) else float("nan"),
        "high": float(descending[fewest - 1]) if fewest > 0 else float("nan"),
    }


def tpr_at_fpr(logits: np.ndarray, labels: np.ndarray, fpr: float) -> float:
    """Completeness at the threshold of a false-positive rate."""
    return float((logits[labels == 1] > threshold_at_fpr(logits[labels == 0], fpr)).mean())


def missed_ratio(logits: np.ndarray, labels: np.ndarray, fpr: float) -> float:
    """Lenses that the first of two networks misses over those that the second does; NaN where that misses none.

    `logits` are (N, 2), a column a network, each with its own threshold at the false-positive rate.
    """
    first, second = (1 - tpr_at_fpr(column, labels, fpr) for column in logits.T)
    return first / second if second else float("nan")


def tpr_before_false_positives(logits: np.ndarray, labels: np.ndarray, allowed: int) -> float:
    """Completeness with at most `allowed` false positives; TPR0 and TPR10 of Metcalf et al. 2019 are 0 and 9."""
    non = np.sort(logits[labels == 0])[::-1]
    threshold = non[allowed] if allowed < len(non) else -np.inf
    return float((logits[labels == 1] > threshold).mean())


def purity_at_prevalence(tpr: float, fpr: float, prevalence: float) -> float:
    """Share of lenses among the candidates of a survey in which this share of objects are lenses."""
    found = prevalence * tpr + (1 - prevalence) * fpr
    return prevalence * tpr / found if found else float("nan")


def expected_calibration_error(
    probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None, bins: int = 15
) -> float:
    """Mean distance of probability and lens share over bins of equal width, weighted by their counts (Guo et al. 2017).

    weights: what each image counts (N,); None for one.
    """
    weights = np.ones(len(probabilities)) if weights is None else weights
    which = np.clip((probabilities * bins).astype(int), 0, bins - 1)
    gap = np.bincount(which, weights * (probabilities - labels), minlength=bins)
    return float(np.abs(gap).sum() / weights.sum()) if len(weights) else float("nan")


def error_if_calibrated(probabilities: np.ndarray, n: int, rng: np.random.Generator) -> Interval:
    """Calibration error of as many images whose probabilities are right, with the 95 % range of `n` sets of labels.

    The distance in a bin is never negative, so an error of zero is not what a calibrated network shows.
    """
    drawn = [
        expected_calibration_error(probabilities, rng.random(len(probabilities)) < probabilities) for _ in range(n)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5]) if len(probabilities) else (float("nan"), float("nan"))
    return {"value": float(np.mean(drawn)), "low": float(low), "high": float(high)}


def equal_classes(labels: np.ndarray) -> np.ndarray:
    """Weights (N,) by which lenses (1) and non-lenses (0) count the same in all, their sum being N."""
    counts = np.bincount(labels, minlength=2)
    return (len(labels) / 2 / np.maximum(counts, 1))[labels]


def fit_temperature(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Temperature T > 0 that makes sigmoid(logit / T) likeliest (Guo et al. 2017); weights (N,): what each image counts."""

    def loss(log_t: float) -> float:
        scaled = logits / np.exp(log_t)
        return float(np.average(np.logaddexp(0, scaled) - labels * scaled, weights=weights))

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x))


def probability(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Lens probability of logits."""
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
    """A measure of (logits, labels) with its 95 % interval from resampling lenses and non-lenses apart.

    biased: for a measure that scatter only raises, and that is not negative, such as a calibration error. A resampled one
    is raised twice, so the percentiles of its excess over the measure are taken from the measure (the basic bootstrap);
    the interval ends at the measure at the least.
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
    """Thresholds (n,) of each false-positive rate, on as many non-lenses drawn from these with replacement."""
    drawn: dict[str, list[float]] = {name: [] for name in rates}
    for _ in range(n):
        some = rng.choice(non_lens_logits, len(non_lens_logits))
        for name, rate in rates.items():
            drawn[name].append(threshold_at_fpr(some, rate))
    return {name: np.array(values) for name, values in drawn.items()}


def completeness(
    lens_logits: np.ndarray, threshold: float, resampled: np.ndarray, rng: np.random.Generator
) -> Interval:
    """Share of the lenses above a threshold, with its 95 % interval from lenses resampled and the thresholds resampled (n,)."""
    if len(lens_logits) == 0:
        return dict(UNKNOWN)
    n = len(lens_logits)
    above = 1 - np.searchsorted(np.sort(lens_logits), resampled, side="right") / n
    low, high = np.percentile(rng.binomial(n, above) / n, [2.5, 97.5])
    return {"value": float((lens_logits > threshold).mean()), "low": float(low), "high": float(high)}


def values_of(result: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, float]]:
    """The numbers in nested blocks that have an interval, without it, under dotted names; what is NaN is left out."""
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
    """Several measures of groups of scores (N,), with 95 % intervals from resampling each group on its own."""
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
    """A share with its 95 % bootstrap interval; resampling hits is drawing from a binomial."""
    if len(hits) == 0:
        return dict(UNKNOWN)
    value = float(np.mean(hits))
    low, high = np.percentile(rng.binomial(len(hits), value, n) / len(hits), [2.5, 97.5])
    return {"value": value, "low": float(low), "high": float(high)}


def rare_share(hits: np.ndarray) -> Interval:
    """A share with its 95 % interval after Wilson, which holds for a few hits and for none."""
    return wilson(int(np.sum(hits)), len(hits))


def wilson(hits: int, n: int) -> Interval:
    """The share `hits` of n with its 95 % interval after Wilson (1927); NaN of nothing."""
    if n == 0:
        return dict(UNKNOWN)
    bounds = binomtest(hits, n).proportion_ci(method="wilson")
    return {"value": hits / n, "low": float(bounds.low), "high": float(bounds.high)}
