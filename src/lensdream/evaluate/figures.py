"""Figures of `evaluate` and `survey-test`: ROC curve, scores by family, selection function, calibration."""

from __future__ import annotations

from itertools import pairwise

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.metrics import roc_curve

from lensdream.evaluate import curves
from lensdream.evaluate.selection import EDGES, MAPPED
from lensdream.families import LENS
from lensdream.metrics import probability

matplotlib.use("Agg")

LABELS = {
    "theta_E": "Einstein radius [arcsec]",
    "arc_snr": "signal-to-noise of the arcs in VIS",
    "magnitude_lensed_source_VIS": "lensed source, VIS [AB mag]",
    "magnitude_lens_VIS": "deflector, VIS [AB mag]",
}


def roc(logits: np.ndarray, labels: np.ndarray) -> plt.Figure:
    """ROC curve: completeness against the false-positive rate on a logarithmic axis."""
    fpr, tpr, _ = roc_curve(labels, logits)
    figure, axes = plt.subplots(figsize=(5.5, 4), layout="constrained")
    axes.step(fpr, tpr, where="post")
    floor = 1 / max(int((labels == 0).sum()), 1)
    axes.set(
        xscale="log", xlim=(floor / 2, 1), ylim=(0, 1.01), xlabel="false-positive rate", ylabel="completeness",
        title=f"{int((labels == 1).sum())} lenses, {int((labels == 0).sum())} non-lenses",
    )  # fmt: skip
    for rate in (1e-2, 1e-3):
        axes.axvline(rate, color="0.7", ls=":")
    return figure


def scores_by_family(truth: pd.DataFrame, logits: np.ndarray, thresholds: dict[str, float]) -> plt.Figure:
    """Violins of the logits of each family, with thresholds."""
    families = sorted(truth["family"].unique(), key=lambda name: float(np.median(logits[truth["family"] == name])))
    figure, axes = plt.subplots(figsize=(7, 0.5 * len(families) + 1.2), layout="constrained")
    axes.violinplot([logits[truth["family"] == name] for name in families], orientation="horizontal", showmedians=True)
    axes.set_yticks(range(1, len(families) + 1), [f"{f} ({int((truth['family'] == f).sum())})" for f in families])
    for name, threshold in thresholds.items():
        axes.axvline(threshold, color="0.5", ls=":")
        axes.text(threshold, len(families) + 0.6, name.replace("fpr_", "FPR "), fontsize=7, rotation=45)
    axes.set(xlabel="logit")
    return figure


def tails_by_family(scores: pd.DataFrame, thresholds: dict[str, float]) -> plt.Figure:
    """Percentiles of the logits of each family: a line from 5 to 95, a bar from 25 to 75, dots above the second threshold.

    scores: columns family and logit. Dots show single false positives, which are tails that a density hides.
    """
    families = scores.groupby("family")["logit"].median().sort_values().index
    dotted = list(thresholds.values())[1]
    figure, axes = plt.subplots(figsize=(8, 0.42 * len(families) + 1.4), layout="constrained")
    for row, family in enumerate(families):
        logits = scores.loc[scores["family"] == family, "logit"].to_numpy()
        colour = "C1" if family == LENS else "C0"
        low, first, median, third, high = np.percentile(logits, [5, 25, 50, 75, 95])
        axes.plot([low, high], [row, row], color=colour, lw=1)
        axes.plot([first, third], [row, row], color=colour, lw=6, alpha=0.5, solid_capstyle="butt")
        axes.plot(median, row, "|", color=colour, ms=12, mew=2)
        if family != LENS:
            above = logits[logits > dotted]
            axes.plot(above, np.full(len(above), row), ".", color="C3", ms=4, alpha=0.6)
    axes.set_yticks(
        range(len(families)), [f"{f.replace('_', ' ')} ({(scores['family'] == f).sum():,})" for f in families]
    )
    for name, threshold in thresholds.items():
        axes.axvline(threshold, color="0.5", ls=":")
        axes.text(threshold, len(families) - 0.4, name.replace("fpr_", "FPR "), fontsize=7, rotation=45)
    axes.set(xlabel="logit", ylim=(-0.7, len(families) + 0.6))
    return figure


def selection(table: dict[str, list[dict]]) -> plt.Figure:
    """Selection function: completeness against each property, with the number of lenses."""
    figure, grid = plt.subplots(2, 2, figsize=(9, 6), layout="constrained", sharey=True)
    for axes, (name, rows) in zip(grid.flat, table.items(), strict=True):
        centre = [(row["low"] + row["high"]) / 2 for row in rows]
        for key in (key for key in (rows[0] if rows else {}) if key.startswith("completeness")):
            label = key.removeprefix("completeness_at_").replace("fpr_", "FPR ")
            axes.plot(centre, [row[key] for row in rows], "o-", ms=4, label=label)
        for x, row in zip(centre, rows, strict=True):
            axes.text(x, 0.02, str(row["n"]), fontsize=6, ha="center", color="0.4")
        axes.set(xlabel=LABELS[name], ylim=(0, 1.03))
    for axes, ticks in ((grid[0, 0], (0.3, 0.5, 1, 2)), (grid[0, 1], (20, 50, 100, 500))):
        axes.set(xscale="log", xticks=ticks, xticklabels=[str(tick) for tick in ticks])
        axes.minorticks_off()
    grid[0, 0].set_ylabel("completeness")
    grid[1, 0].set_ylabel("completeness")
    grid[0, 0].legend(fontsize=7)
    return figure


def selection_map(rows: list[dict[str, float]], title: str) -> plt.Figure:
    """Map of completeness, with counts, in cells of Einstein radius and S/N; rows: of `selection.completeness_map`."""
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    columns, lines = (EDGES[name] for name in MAPPED)
    found = np.full((len(lines) - 1, len(columns) - 1), np.nan)
    for row in rows:
        x, y = columns.index(row["theta_E_low"]), lines.index(row["arc_snr_low"])
        found[y, x] = row["completeness"]
        dark = row["completeness"] < 0.75
        axes.text(
            x,
            y,
            f"{row['completeness']:.2f}\n{row['n']}",
            ha="center",
            va="center",
            fontsize=7,
            color="w" if dark else "k",
        )
    image = axes.imshow(found, origin="lower", aspect="auto", vmin=0.5, vmax=1, cmap="viridis")
    for axis, name in zip((axes.xaxis, axes.yaxis), MAPPED, strict=True):
        edges = EDGES[name]
        labels = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
        axis.set_ticks(range(len(labels)), labels, fontsize=7)
        axis.set_label_text(LABELS[name])
    axes.set_title(title)
    figure.colorbar(image, label="completeness")
    return figure


def reliability(logits: np.ndarray, labels: np.ndarray, temperature: float) -> plt.Figure:
    """Reliability diagram: share of lenses against stated probability, before and after temperature scaling."""
    figure, axes = plt.subplots(figsize=(4.5, 4.2), layout="constrained")
    axes.plot([0, 1], [0, 1], color="0.7")
    for name, t in (("as trained", 1.0), (f"temperature {temperature:.2f}", temperature)):
        rows = curves.reliability(probability(logits, t), labels)
        axes.plot(rows["predicted"], rows["observed"], "o-", ms=4, label=name)
    axes.set(xlabel="stated probability", ylabel="share of lenses", xlim=(0, 1), ylim=(0, 1))
    axes.legend()
    return figure
