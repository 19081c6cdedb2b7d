"""Measurements of `evaluate` on the test set, each with an interval."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lensdream import metrics
from lensdream.config import EvaluateConfig
from lensdream.evaluate import baselines
from lensdream.families import FAMILIES_NON_LENS, UNDETECTABLE
from lensdream.finder import operating_points


def measured(table: pd.DataFrame, scored: baselines.Scored, settings: EvaluateConfig) -> dict[str, object]:
    """Measure the test split of a table with columns split, family, label, calibrated on its validation split."""
    labelled = table.assign(logit=scored.logits).query("label >= 0")
    validation, test = (labelled[labelled["split"] == split] for split in ("validation", "test"))
    temperature = metrics.fit_temperature(validation["logit"].to_numpy(), validation["label"].to_numpy())
    about = {"parameters": scored.parameters, "images_trained_on": scored.images_trained_on}
    return measure(test, temperature, settings) | about


def measure(test: pd.DataFrame, temperature: float, settings: EvaluateConfig) -> dict[str, object]:
    """Measure a test table with columns family, label (0, 1), logit.

    At false-positive rates below one in the number of non-lenses completeness and purity are NaN, the shares of the families
    None, and the threshold is the highest logit of a non-lens.
    """
    logits, labels = test["logit"].to_numpy(float), test["label"].to_numpy()
    rng = np.random.default_rng(settings.seed)

    def with_interval(function: object, **kind: bool) -> dict[str, float]:
        return metrics.bootstrap(function, logits, labels, settings.bootstrap, rng, **kind)

    result: dict[str, object] = {
        "precision": with_interval(lambda s, y: metrics.precision(s > 0, y)),
        "recall": with_interval(lambda s, y: metrics.recall(s > 0, y)),
        "accuracy": with_interval(lambda s, y: float(((s > 0) == (y == 1)).mean())),
        "f1": with_interval(lambda s, y: metrics.f1(s > 0, y)),
        "auroc": with_interval(metrics.auroc),
    }
    rates = operating_points.measurable(int((labels == 0).sum()))
    for name, rate in operating_points.RATES.items():
        found = with_interval(lambda s, y, rate=rate: metrics.tpr_at_fpr(s, y, rate))
        result[f"tpr_at_fpr_{name}"] = found if name in rates else metrics.UNKNOWN
    result["tpr0"] = with_interval(lambda s, y: metrics.tpr_before_false_positives(s, y, 0))
    result["tpr10"] = with_interval(lambda s, y: metrics.tpr_before_false_positives(s, y, 9))
    purity = with_interval(
        lambda s, y: metrics.purity_at_prevalence(metrics.tpr_at_fpr(s, y, 1e-3), 1e-3, settings.prevalence)
    )
    result["purity_at_prevalence_1e-3"] = purity if "1e-3" in rates else metrics.UNKNOWN
    for name, divisor in (("ece", temperature), ("ece_before_calibration", 1.0)):
        result[name] = with_interval(
            lambda s, y, divisor=divisor: metrics.expected_calibration_error(metrics.probability(s, divisor), y),
            biased=True,
        )
    stated = metrics.probability(logits, temperature)
    result["ece_if_calibrated"] = metrics.error_if_calibrated(stated, settings.bootstrap, rng)
    result |= {"n_lens": int((labels == 1).sum()), "n_nonlens": int((labels == 0).sum()), "temperature": temperature}
    for name, rate in operating_points.RATES.items():
        result[f"threshold_fpr_{name}"] = metrics.threshold_at_fpr(logits[labels == 0], rate)
    family = test["family"].to_numpy()
    result["families"] = {
        name: {
            "n": int((family == name).sum()),
            "fpr_at_0.5": share_of(logits[family == name] > 0),
            "fpr_at_threshold_1e-3": (
                share_of(logits[family == name] > result["threshold_fpr_1e-3"]) if "1e-3" in rates else None
            ),
        }
        for name in FAMILIES_NON_LENS
    }
    return result


def undetectable(table: pd.DataFrame, thresholds: Mapping[str, float]) -> dict[str, int | float | None]:
    """Share of the undetectable lenses above a score of 0.5 and above the threshold of 1e-3; None where unknown."""
    logits = table[table["family"] == UNDETECTABLE]["logit"].to_numpy()
    at = thresholds.get("fpr_1e-3")
    return {
        "n": len(logits),
        "found_at_0.5": share_of(logits > 0),
        "found_at_threshold_1e-3": None if at is None else share_of(logits > at),
    }


def report(result: dict[str, object]) -> str:
    """Table of the result for the terminal."""
    lines = [f"{result['n_lens']} lenses, {result['n_nonlens']} non-lenses"]
    for name, value in result.items():
        if isinstance(value, dict) and "value" in value:
            lines.append(f"  {name:28s} {value['value']:.4f}  [{value['low']:.4f}, {value['high']:.4f}]")
    lines.append(f"  {'family':12s} {'n':>6s} {'FPR at 0.5':>11s} {'at the 1e-3 threshold':>22s}")
    for name, row in result["families"].items():
        rates = [row["fpr_at_0.5"], row["fpr_at_threshold_1e-3"]]
        at_half, at_threshold = ("-" if rate is None else f"{rate:.4f}" for rate in rates)
        lines.append(f"  {name:12s} {row['n']:6d} {at_half:>11s} {at_threshold:>22s}")
    side_by_side = baselines.table(result)
    if len(side_by_side) > 1:
        lines += ["", side_by_side.to_string(float_format="{:.4f}".format, na_rep="-")]
    return "\n".join(lines)


def share_of(hits: np.ndarray) -> float | None:
    """Share of hits; None without any value."""
    return float(np.mean(hits)) if len(hits) else None
