"""Curves of `evaluate` and `survey-test` as tables of a few rows: what DVC draws, revision beside revision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import roc_curve

from lensdream import metrics
from lensdream.finder.operating_points import measurable

MOST = 200
"""rows of a curve at the most"""
OBJECTS = 1_000_000
"""size of the survey whose candidates are counted [object]"""
FEWEST = 5
"""images in a bin of the reliability diagram at the least"""


def roc(logits: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    """ROC curve from logits and labels (N,): columns fpr and tpr, rows evenly spaced in log fpr, and at the quoted rates.

    It begins at the first false positive, for an axis that is logarithmic; empty where a class has no image.
    """
    n_non_lenses = int((labels == 0).sum())
    if n_non_lenses == 0 or not (labels == 1).any():
        return pd.DataFrame({"fpr": [], "tpr": []})
    fpr, tpr, _ = roc_curve(labels, logits, drop_intermediate=False)
    quoted = measurable(n_non_lenses)
    wanted = np.concatenate([np.geomspace(1 / n_non_lenses, 1, MOST - len(quoted)), list(quoted.values())])
    # the last point of the curve up to each rate: the highest completeness with so few false positives
    rows = np.unique(np.searchsorted(fpr, wanted * (1 + 1e-9), side="right") - 1)
    rows = rows[fpr[rows] > 0]
    return pd.DataFrame({"fpr": fpr[rows], "tpr": tpr[rows]})


def reliability(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> pd.DataFrame:
    """Reliability diagram from probabilities and labels (N,): columns predicted and observed, the means of a bin, and n."""
    which = np.clip((probabilities * bins).astype(int), 0, bins - 1)
    table = pd.DataFrame({"predicted": probabilities, "observed": labels, "n": 1}).groupby(which)
    means = table.agg({"predicted": "mean", "observed": "mean", "n": "sum"})
    return means[means["n"] >= FEWEST].reset_index(drop=True)


def purity(non_lenses: np.ndarray, lenses: np.ndarray, prevalence: float) -> pd.DataFrame:
    """Purity and completeness against the candidates, lenses and others, in a survey of `OBJECTS`, from logits (N,).

    Columns candidates, purity, completeness; rows at the rates of `roc`.
    """
    logits, labels = np.concatenate([non_lenses, lenses]), np.repeat([0, 1], [len(non_lenses), len(lenses)])
    curve = roc(logits, labels)
    candidates = OBJECTS * (prevalence * curve["tpr"] + (1 - prevalence) * curve["fpr"])
    pure = [metrics.purity_at_prevalence(row.tpr, row.fpr, prevalence) for row in curve.itertuples()]
    return pd.DataFrame({"candidates": candidates.round(), "purity": pure, "completeness": curve["tpr"]})


def completeness_by_snr(selection_function: Mapping[str, Sequence[Mapping[str, float]]]) -> pd.DataFrame:
    """Completeness in bins of the arcs' signal-to-noise, of a selection function: columns snr (centre), completeness, n.

    At the threshold of the false-positive rate 1e-3, or at a score of 0.5 where that is not measurable.
    """
    rows = selection_function["arc_snr"]
    at = "completeness_at_fpr_1e-3" if rows and "completeness_at_fpr_1e-3" in rows[0] else "completeness_at_0.5"
    values = [((row["low"] + row["high"]) / 2, row[at], row["n"]) for row in rows]
    return pd.DataFrame(values, columns=["snr", "completeness", "n"])
