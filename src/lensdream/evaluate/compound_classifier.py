"""Metrics of the compound classifier among the lenses that the finder finds: completeness, purity, AUROC.

Compound lenses are one in a hundred lenses or fewer in a survey, so false positives are ordinary single lenses, and rates are
fixed on those of the test split. The single lenses matched to the compound ones, the same scenes without the second source,
are the hardest: they have numbers of their own.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lensdream import metrics
from lensdream.config import CompoundConfig
from lensdream.evaluate import selection
from lensdream.families import COMPOUND, FAINT_SECOND, LENS, MATCHED_SINGLE
from lensdream.finder import operating_points
from lensdream.metrics import Interval

FINDER_AT = ("0.5", "fpr_1e-2", "fpr_1e-3")
"""thresholds of the finder above which lenses are classified"""
RATES = {"1e-2": 1e-2, "1e-3": 1e-3}
"""shares of the single lenses found that may be classified as compound"""
ALL = "compound"
"""group of both families together, as many of each as the store has"""
SINGLE, MATCHED, CONTROL = "single", MATCHED_SINGLE, FAINT_SECOND


def measure(table: pd.DataFrame, thresholds: Mapping[str, float], settings: CompoundConfig) -> dict[str, object]:
    """Measure the block `compound_head` of `compound-test.json`: a part `found_at_<threshold>` for each of the finder's.

    `table` has the compound split and the lenses of the test split, with columns index, partner, split, family, logit (of
    the finder), compound_logit, and those in `selection.COMPOUND_EDGES`; `thresholds` are the finder's.
    """
    scores = scores_by_group(table)
    result: dict[str, object] = {"prevalence": settings.prevalence}
    for at in FINDER_AT:
        rng = np.random.default_rng(settings.seed)
        found_scores = {name: scores_of_found(group, thresholds[at]) for name, group in scores.items()}
        result[f"found_at_{at}"] = measure_at_threshold(found_scores, settings, rng)
    return result


def scores_by_group(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Columns logit and compound_logit (N, 2) of each group.

    Groups are each compound family, `matched_single_of_` each, the ordinary single lenses and the control.
    """
    family = table["family"]
    partner = table["partner"].map(table.set_index("index")["family"])
    groups = {SINGLE: (table["split"] == "test") & (family == LENS), CONTROL: family == CONTROL}
    groups |= {name: family == name for name in COMPOUND}
    groups |= {f"{MATCHED}_of_{name}": (family == MATCHED) & (partner == name) for name in COMPOUND}
    return {name: table.loc[inside, ["logit", "compound_logit"]].to_numpy(float) for name, inside in groups.items()}


def scores_of_found(scores: np.ndarray, threshold: float) -> np.ndarray:
    """Classifier logits (N,) of the lenses above the finder's threshold, minus infinity for the others."""
    return np.where(scores[:, 0] > threshold, scores[:, 1], -np.inf)


def measure_at_threshold(
    found_scores: Mapping[str, np.ndarray], settings: CompoundConfig, rng: np.random.Generator
) -> dict[str, object]:
    """Measure at one threshold of the finder; scores of the groups are minus infinity for lenses not found."""
    found = {name: scores[np.isfinite(scores)] for name, scores in found_scores.items()}
    single = found[SINGLE]
    measurable = operating_points.measurable(len(single), RATES)
    points = {name: metrics.threshold_at_fpr(single, rate) for name, rate in measurable.items()}
    block: dict[str, object] = {"n_single": len(single)}
    block |= {f"threshold_fpr_{name}": points.get(name, float("nan")) for name in RATES}
    for family in (*COMPOUND, ALL):
        parts = COMPOUND if family == ALL else (family,)
        groups = {
            SINGLE: found_scores[SINGLE],
            MATCHED: np.concatenate([found_scores[f"{MATCHED}_of_{part}"] for part in parts]),
            ALL: np.concatenate([found_scores[part] for part in parts]),
        }
        intervals = metrics.bootstrap_groups(
            lambda drawn: classification_metrics(drawn, settings.prevalence), groups, settings.bootstrap, rng
        )
        block[family] = {"n": int(np.isfinite(groups[ALL]).sum())} | {
            name: value if is_measurable(name, groups) else dict.fromkeys(value, float("nan"))
            for name, value in intervals.items()
        }
    found[MATCHED] = np.concatenate([found[f"{MATCHED}_of_{name}"] for name in COMPOUND])
    for name in (MATCHED, CONTROL):
        block[name] = {"n": len(found[name])} | {
            f"taken_at_fpr_{rate}": metrics.share_with_interval(
                found[name] > points[rate] if rate in points else np.array([]), settings.bootstrap, rng
            )
            for rate in RATES
        }
    return block


def classification_metrics(found_scores: Mapping[str, np.ndarray], prevalence: float) -> dict[str, float]:
    """Metrics of scores (N,) of single, matched single and compound lenses, minus infinity for those not found.

    `completeness` is of the compound lenses found, `found_and_told` of all there are. Purity is that of the lenses
    above both thresholds, where a share `prevalence` of all lenses is compound; NaN stands for what is not defined.
    """
    finite = {name: scores[np.isfinite(scores)] for name, scores in found_scores.items()}
    values = {
        "auroc": auroc_of_groups(finite[ALL], finite[SINGLE]),
        "auroc_matched": auroc_of_groups(finite[ALL], finite[MATCHED]),
    }
    for name, rate in RATES.items():
        threshold = metrics.threshold_at_fpr(finite[SINGLE], rate)
        both = share_above(found_scores[ALL], threshold)
        false = rate * len(finite[SINGLE]) / max(len(found_scores[SINGLE]), 1)
        values[f"completeness_at_fpr_{name}"] = share_above(finite[ALL], threshold)
        values[f"found_and_told_at_fpr_{name}"] = both
        values[f"purity_at_fpr_{name}"] = metrics.purity_at_prevalence(both, false, prevalence)
    for name, rate in RATES.items():
        threshold = metrics.threshold_at_fpr(finite[MATCHED], rate)
        values[f"completeness_at_matched_fpr_{name}"] = share_above(finite[ALL], threshold)
    return values


def is_measurable(name: str, groups: Mapping[str, np.ndarray]) -> bool:
    """Whether there are single lenses enough for the false-positive rate of an entry of `classification_metrics`."""
    reference = groups[MATCHED if "_matched_fpr_" in name else SINGLE]
    _, fixed, rate = name.rpartition("fpr_")
    return not fixed or rate in operating_points.measurable(int(np.isfinite(reference).sum()), RATES)


def share_above(scores: np.ndarray, threshold: float) -> float:
    """Share of scores above a threshold; NaN without scores or threshold."""
    return float((scores > threshold).mean()) if len(scores) and not np.isnan(threshold) else float("nan")


def auroc_of_groups(scores: np.ndarray, others: np.ndarray) -> float:
    """Area under the ROC curve of two groups of scores: the chance that one is above one of the others, ties half."""
    labels = np.repeat([1, 0], [len(scores), len(others)])
    return metrics.auroc(np.concatenate([scores, others]), labels)


def completeness(table: pd.DataFrame, finder: float, block: Mapping[str, float]) -> dict[str, list[dict]]:
    """Share classified as compound, of the compound lenses above the finder's threshold, in bins of their properties.

    `block`: the result of `measure` at the same threshold.
    """
    found = table[table["family"].isin(COMPOUND) & (table["logit"] > finder)]
    points = {f"fpr_{rate}": block[f"threshold_fpr_{rate}"] for rate in RATES}
    known = {at: point for at, point in points.items() if not np.isnan(point)}
    return selection.binned(
        found[list(selection.COMPOUND_EDGES)], selection.COMPOUND_EDGES, found["compound_logit"].to_numpy(float), known
    )


def report(block: Mapping[str, object]) -> str:
    """Table of the result for the terminal."""
    lines = []
    for at in FINDER_AT:
        part = block[f"found_at_{at}"]
        lines.append(
            f"compound or single, of the lenses that the finder takes at {at.replace('fpr_', 'FPR ')}: "
            f"{part['n_single']} ordinary single ones; prevalence {block['prevalence']:g}"
        )
        lines.append(
            f"  {'':14s} {'n':>6s} {'AUROC':>7s} {'matched':>8s}"
            + "".join(f"{f'{word} {rate}':>19s}" for rate in RATES for word in ("completeness", "purity"))
        )
        for name in (*COMPOUND, ALL):
            row = part[name]
            lines.append(
                f"  {name:14s} {row['n']:6d} {row['auroc']['value']:7.4f} {row['auroc_matched']['value']:8.4f}"
                + "".join(
                    f"{short(row[f'{key}_at_fpr_{rate}']):>19s}" for rate in RATES for key in ("completeness", "purity")
                )
            )
    return "\n".join(lines)


def short(value: Interval) -> str:
    """Text of a share and its interval, with two decimals."""
    return "-" if np.isnan(value["value"]) else f"{value['value']:.2f} [{value['low']:.2f}, {value['high']:.2f}]"
