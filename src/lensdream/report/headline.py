"""Headline metrics of a scale: ten numbers that fit a screen, out of the details in its metrics files."""

from __future__ import annotations

from collections.abc import Mapping

from lensdream.families import COMPOUND_ARC, DOUBLE_RING

DIGITS = 4
"""decimals: more than the intervals of the details allow for, and fewer than processors differ in"""


def headline(evaluate: Mapping, survey_test: Mapping, compound_test: Mapping) -> dict[str, float | None]:
    """Main numbers of `evaluate.json`, `survey-test.json` and `compound-test.json`, None for one that was not measurable.

    Returns
    -------
    dict of str to float or None
        `auroc`, `precision`, `recall`, `accuracy`: of the test set, the last three at a score of 0.5.
        `tpr_1e-3`: completeness of the test set at its own false-positive rate of 1e-3.
        `survey_1e-3`: the same at a survey's rate, of newly simulated non-lenses in the proportions of its targets.
        `arcs`, `rings`: completeness of compound arcs and of double rings at a survey's threshold of 1e-3, or at a score of 0.5
        where that rate was not measurable, that is, where `survey_1e-3` is None.
        `compound`: AUROC of the compound classifier, of compound against single lenses that are found at the test set's
        false-positive rate of 1e-2.
        `ece`: calibration error of the test set after temperature scaling.
    """
    classifier = compound_test["compound_head"]["found_at_fpr_1e-2"]["compound"]
    return {
        "auroc": _value(evaluate, "auroc"),
        "precision": _value(evaluate, "precision"),
        "recall": _value(evaluate, "recall"),
        "accuracy": _value(evaluate, "accuracy"),
        "tpr_1e-3": _value(evaluate, "tpr_at_fpr_1e-3"),
        "survey_1e-3": _value(survey_test, "tpr_at_fpr_1e-3"),
        "arcs": _found(compound_test[COMPOUND_ARC]),
        "rings": _found(compound_test[DOUBLE_RING]),
        "compound": _value(classifier, "auroc"),
        "ece": _value(evaluate, "ece"),
    }


def _found(block: Mapping) -> float | None:
    at = "completeness_at_survey_fpr_1e-3"
    return _value(block, at if at in block else "completeness_at_0.5")


def _value(block: Mapping, key: str) -> float | None:
    value = block[key]["value"]
    return None if value is None else round(value, DIGITS)
