"""Figures of the compound test: completeness and purity against properties of the lens, and pictures of missed lenses."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from lensdream import metrics
from lensdream.dataset.store import ImageStore
from lensdream.evaluate.compound_classifier import MATCHED, SINGLE, scores_by_group, scores_of_found
from lensdream.families import COMPOUND, COMPOUND_ARC, DOUBLE_RING, LENS
from lensdream.plots import contact_sheet
from lensdream.plots.contact_sheet import Row

matplotlib.use("Agg")

LABELS = {
    "theta_E_1": "Einstein radius for source 1 [arcsec]",
    "theta_E_2": "Einstein radius for source 2 [arcsec]",
    "arc_snr_2": "signal-to-noise of source 2 in VIS",
}
COLOURS = {COMPOUND_ARC: "C0", DOUBLE_RING: "C1"}
COLUMNS = 8
"""pictures in a row of missed lenses"""


def selection(table: Mapping[str, list[dict]], title: str) -> plt.Figure:
    """Completeness in bins of both Einstein radii and of the second source's S/N, with the number of lenses in each."""
    figure, grid = plt.subplots(1, len(LABELS), figsize=(11, 3.4), layout="constrained", sharey=True)
    for axes, (name, label) in zip(grid, LABELS.items(), strict=True):
        rows = table[name]
        centre = [
            np.sqrt(max(row["low"], 10) * row["high"]) if "snr" in name else (row["low"] + row["high"]) / 2
            for row in rows
        ]
        for key in (key for key in (rows[0] if rows else {}) if key.startswith("completeness")):
            at = key.removeprefix("completeness_at_").replace("fpr_", "FPR ")
            axes.plot(centre, [row[key] for row in rows], "o-", ms=4, label=at)
        for x, row in zip(centre, rows, strict=True):
            axes.text(x, -0.07, f"{row['n']:,}", fontsize=6, ha="center", color="0.4")
        ticks = (20, 50, 100, 500) if "snr" in name else (0.3, 0.5, 1, 2)
        axes.set(xscale="log", xlabel=label, ylim=(-0.1, 1.03), xticks=ticks, xticklabels=[str(tick) for tick in ticks])
        axes.minorticks_off()
    grid[0].set_ylabel("completeness")
    if table["theta_E_1"]:
        grid[0].legend(fontsize=7)
    figure.suptitle(title, fontsize=10)
    return figure


def classification(table: pd.DataFrame, thresholds: Mapping[str, float], prevalence: float) -> plt.Figure:
    """Curves of the compound classifier for lenses that the finder finds at a false-positive rate of 1e-2.

    Left, completeness against the share of single lenses classified as compound: ordinary ones, and, dashed, those matched
    to the compound ones. Right, purity against completeness where a share `prevalence` of all lenses is compound.
    """
    scores = scores_by_group(table)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    found_scores = {name: scores_of_found(group, thresholds["fpr_1e-2"]) for name, group in scores.items()}
    for name, colour in COLOURS.items():
        for reference, style in ((SINGLE, "-"), (f"{MATCHED}_of_{name}", "--")):
            taken, complete = curve(
                *(values[np.isfinite(values)] for values in (found_scores[reference], found_scores[name]))
            )
            left.step(
                taken,
                complete,
                style,
                where="post",
                color=colour,
                label=name.replace("_", " ") if style == "-" else None,
            )
    left.plot([], [], "--", color="0.4", label="against matched single lenses")
    for rate in (1e-2, 1e-3):
        left.axvline(rate, color="0.7", ls=":")
    left.set(
        xscale="log", xlim=(2e-4, 1), ylim=(0, 1.01), xlabel="share of single lenses classified as compound",
        ylabel="completeness of the compound lenses found",
    )  # fmt: skip
    left.legend(fontsize=7)
    for at, style in (("fpr_1e-2", "-"), ("fpr_1e-3", "--")):
        for name, colour in COLOURS.items():
            taken, complete = curve(*(scores_of_found(scores[group], thresholds[at]) for group in (SINGLE, name)))
            measured = taken * len(scores[SINGLE]) >= 1  # beyond the last false positive purity is undefined
            purity = [
                metrics.purity_at_prevalence(c, t, prevalence)
                for c, t in zip(complete[measured], taken[measured], strict=True)
            ]
            label = f"{name.replace('_', ' ')}, finder at {at.replace('fpr_', 'FPR ')}"
            right.plot(complete[measured], purity, style, color=colour, label=label)
    right.set(
        xlim=(0, 1), ylim=(0, 1.01), xlabel="found and classified, of all compound lenses",
        ylabel=f"purity, {prevalence:g} of lenses being compound",
    )  # fmt: skip
    right.legend(fontsize=7)
    return figure


def curve(reference: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of `reference` and of `scores` above each threshold out of `reference`, from the highest to the lowest.

    Minus infinity is above none.
    """
    thresholds = np.unique(reference[np.isfinite(reference)])[::-1]
    above = (
        (len(values) - np.searchsorted(np.sort(values), thresholds, "right")) / max(len(values), 1)
        for values in (reference, scores)
    )
    return tuple(above)


def missed(store: ImageStore, table: pd.DataFrame, finder: float, head: float) -> list[Row]:
    """Rows of pictures: compound lenses not found or classified as single, and single lenses classified as compound.

    Compound lenses with the strongest second source come first, single lenses by their classifier logit. `finder` and
    `head` are thresholds on the logits; with NaN for `head` only lenses not found are drawn. Rows without a lens are left out.
    """
    family, found, classified = table["family"], table["logit"] > finder, table["compound_logit"] > head
    words = {name: f"{name.replace('_', ' ')}s" for name in COMPOUND}
    kinds = [(f"{words[name]}\nnot found", (family == name) & ~found, "arc_snr_2") for name in COMPOUND]
    if not np.isnan(head):
        kinds += [
            (f"{words[name]}\ncalled single", (family == name) & found & ~classified, "arc_snr_2") for name in COMPOUND
        ]
        kinds.append(("single lenses\ntaken for\ncompound", (family == LENS) & found & classified, "compound_logit"))
    rows = []
    for name, inside, order in kinds:
        chosen = table[inside].sort_values(order, ascending=False).head(COLUMNS)
        if len(chosen):
            titles = tuple(contact_sheet.title_of(row) for _, row in chosen.iterrows())
            note = f"{int(inside.sum()):,} in all"
            rows.append(Row(name, note, store.images(chosen["position"].to_numpy()), titles))
    return rows
