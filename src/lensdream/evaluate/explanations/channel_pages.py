"""Pages of the channels of a network: kernels, images of the highest activation, and cutouts around activation peaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lensdream.families import LENS
from lensdream.instrument import EUCLID
from lensdream.plots import grid
from lensdream.plots.composite import composite

SIDE = 48
"""side of a small picture [dot]"""
GAP = 3
"""gap between two pictures [dot]"""
DPI = 100
BLOCKS = 2
"""channels in a row of the page"""
LABEL, HEADING, TOP = 1.3, 0.17, 0.35
"""space for the words on a row, on a column and on the page [inch]"""


@dataclass(frozen=True)
class ChannelRow:
    """One channel on a page."""

    label: str
    kernel: np.ndarray | None
    """(input channel, y, x) weights, or None"""
    maximising: np.ndarray
    """(band, y, x) [microjansky a pixel] image made for a high activation"""
    cutouts: Sequence[np.ndarray]
    """(band, y, x) [microjansky a pixel] around the highest activations, the strongest first"""


def channels_page(title: str, rows: Sequence[ChannelRow], inputs: Sequence[str] = ()) -> Figure:
    """Page of channels in `BLOCKS` columns: kernel by input, image of the highest activation, most activating cutouts.

    inputs: names of the kernel's input channels. Every kernel has its own symmetric scale, blue above 0 and red below.
    Raises `ValueError` without rows.
    """
    if not rows:
        raise ValueError(f"no channel to draw on the page '{title}'")
    n_cutouts = max(len(row.cutouts) for row in rows)
    headings = [*inputs, "its\nimage", *(["most activating"] if n_cutouts else [])]
    columns = len(inputs) + 1 + n_cutouts
    per_block = -(-len(rows) // BLOCKS)
    step = (SIDE + GAP) / DPI
    block = LABEL + columns * step + 0.15
    width, height = BLOCKS * block, TOP + 2 * HEADING + per_block * step
    figure = Figure(figsize=(width, height), dpi=DPI)
    figure.suptitle(title, fontsize="medium", y=1 - 0.1 / height, va="top")
    for b in range(BLOCKS):
        mine = rows[b * per_block : (b + 1) * per_block]
        if not mine:
            continue
        sheet = grid.laid_out([_panels(row) for row in mine], SIDE, GAP)
        left, inches = b * block + LABEL, (sheet.shape[1] / DPI, sheet.shape[0] / DPI)
        bottom = height - TOP - 2 * HEADING - inches[1]
        axes = figure.add_axes((left / width, bottom / height, inches[0] / width, inches[1] / height))
        axes.imshow(sheet, interpolation="nearest")
        axes.set_axis_off()
        for k, row in enumerate(mine):
            axes.text(-6, k * (SIDE + GAP) + SIDE / 2, row.label, ha="right", va="center", fontsize=7)
        for k, heading in enumerate(headings):
            last = n_cutouts and k == len(headings) - 1
            x = k * (SIDE + GAP) + (0 if last else SIDE / 2)
            axes.text(x, -6, heading, ha="left" if last else "center", va="bottom", fontsize=7)
    return figure


def _panels(row: ChannelRow) -> list[np.ndarray]:
    kernel = () if row.kernel is None else row.kernel
    return [*map(grid.signed, kernel), composite(row.maximising), *map(composite, row.cutouts)]


def images_page(title: str, images: np.ndarray, labels: Sequence[str], side: int = 80, columns: int = 16) -> Figure:
    """Page of images (n, band, y, x) [microjansky a pixel] in rows, each with its label in a corner."""
    rows = [[composite(image) for image in images[k : k + columns]] for k in range(0, len(images), columns)]
    sheet = grid.laid_out(rows, side, GAP)
    width, height = sheet.shape[1] / DPI, sheet.shape[0] / DPI + TOP
    figure = Figure(figsize=(width, height), dpi=DPI)
    figure.suptitle(title, fontsize="medium", y=1 - 0.1 / height, va="top")
    axes = figure.add_axes((0, 0, 1, 1 - TOP / height))
    axes.imshow(sheet, interpolation="nearest")
    axes.set_axis_off()
    for k, label in enumerate(labels):
        at = (k % columns) * (side + GAP) + 4, (k // columns) * (side + GAP) + side - 4
        axes.text(*at, label, color="white", fontsize=6, va="bottom")
    return figure


def channels_chart(table: pd.DataFrame, titles: dict[str, str]) -> Figure:
    """Chart of the mean activation of lenses against that of non-lenses, each channel a dot, a panel a layer.

    table: `measure.channel_table` of every layer with a column `layer`. The dots are larger where the logit changes more
    without the channel, and blue where the channel supports 'lens' in lenses.
    """
    figure = Figure(figsize=(4.6 * len(titles), 4.3), dpi=130, layout="constrained")
    for axes, (layer, title) in zip(figure.subplots(1, len(titles), squeeze=False)[0], titles.items(), strict=True):
        rows = table[table["layer"] == layer]
        effect = rows["effect_lens"].fillna(0).to_numpy()
        size = 8 + 120 * np.abs(effect) / (np.abs(effect).max() or 1.0)
        colour = np.where(effect >= 0, "#2166ac", "#b2182b")
        axes.scatter(rows["non_lens"], rows[LENS], s=size, c=colour, alpha=0.6, linewidths=0)
        top = float(np.nanmax(rows[[LENS, "non_lens"]].to_numpy(), initial=1e-6)) * 1.05
        axes.plot([0, top], [0, top], color="black", linewidth=0.6)
        axes.set_xlim(0, top)
        axes.set_ylim(0, top)
        axes.set_aspect("equal")
        axes.set_xlabel("mean activation, non-lenses")
        axes.set_ylabel("mean activation, lenses")
        axes.set_title(title, fontsize="medium")
    return figure


def kernel_inputs() -> list[str]:
    """Names of the input channels of LensNet's first kernels: flux and contrast of each band."""
    names = [band.fits_name.removeprefix("NIR_") for band in EUCLID.bands]
    return [*(f"{name}\nflux" for name in names), *(f"{name}\nfine" for name in names)]
