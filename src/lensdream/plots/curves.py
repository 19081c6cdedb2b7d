"""Curves of a training: losses and accuracies of training and validation images by epoch."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

COLOURS = {"train": "tab:blue", "validation": "tab:orange"}
PANELS = {"loss": "binary cross-entropy", "accuracy": "accuracy at 0.5"}


def draw(table: pd.DataFrame, title: str) -> Figure:
    """Losses and accuracies in two panels, the kept epoch marked.

    table: `epochs.csv` of a training; one without accuracies has the panel of losses alone.
    """
    shown = {name: label for name, label in PANELS.items() if f"validation_{name}" in table}
    figure = Figure(figsize=(6.3, 3.2), layout="constrained")  # 160 mm wide, as on a page
    panels = figure.subplots(1, len(shown), squeeze=False)[0]
    for axes, (quantity, label) in zip(panels, shown.items(), strict=True):
        for images, colour in COLOURS.items():
            name = {"train": "training"}.get(images, images)
            axes.plot(table["epoch"], table[f"{images}_{quantity}"], ".-", color=colour, label=name)
        for epoch in table["epoch"][table["kept"] == 1] if "kept" in table else ():
            axes.axvline(epoch, color="0.5", ls=":", label=f"kept, epoch {epoch}")
        axes.set(xlabel="epoch", ylabel=label, xlim=(-0.5, len(table) - 0.5))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    panels[0].set_yscale("log")
    # a loss falls by a power of ten or two
    panels[0].yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 6)))
    panels[0].yaxis.set_major_formatter("{x:g}")
    panels[0].yaxis.set_minor_formatter("")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
    figure.suptitle(title, fontsize=11)
    return figure
