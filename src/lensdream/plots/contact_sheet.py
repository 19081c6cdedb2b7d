"""Contact sheet: rows of images in one picture, each row with a name, all on the one colour scale of `plots.composite`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lensdream.families import WITH_ARCS
from lensdream.plots import composite

DPI = 100
PANEL, GAP, TITLE, LEFT = 1.6, 0.06, 0.16, 1.3
"""side of a panel, space between two, room for a title, margin for the names [inch]; 80 pixels are drawn at 160"""


@dataclass(frozen=True)
class Row:
    """One row of the sheet."""

    name: str
    note: str
    """small print under the name"""
    images: np.ndarray
    """(n, band, y, x) [microjansky a pixel]"""
    titles: tuple[str, ...] = ()
    """one an image, or none at all"""


def title_of(row: pd.Series) -> str:
    """Title of an image: Einstein radii [arcsec] and S/N of the arcs in VIS, of both sources where the scene has two."""
    radii = ", ".join(f"{row[name]:.2f}″" for name in ("theta_E_1", "theta_E_2") if row[name] > 0)
    ratios = ", ".join(f"{row[name]:.0f}" for name in ("arc_snr_1", "arc_snr_2") if row[name] > 0)
    return f"θ {radii}  S/N {ratios}"


def titles_of(family: str, truth: pd.DataFrame) -> tuple[str, ...]:
    """Titles of a family's images, rows of `truth`; none where the family has no arcs."""
    return tuple(title_of(row) for _, row in truth.iterrows()) if family in WITH_ARCS else ()


def draw(rows: Sequence[Row]) -> Figure:
    """Draw the rows, from top to bottom."""
    columns = max(len(row.images) for row in rows)
    heights = [PANEL + (TITLE if row.titles else 0.0) + GAP for row in rows]
    width, height = LEFT + columns * (PANEL + GAP), sum(heights) + GAP
    figure = Figure(figsize=(width, height), dpi=DPI)
    bottom = height
    for row, row_height in zip(rows, heights, strict=True):
        bottom -= row_height
        titles = row.titles or ("",) * len(row.images)
        for column, (image, title) in enumerate(zip(row.images, titles, strict=True)):
            left = LEFT + column * (PANEL + GAP)
            axes = figure.add_axes((left / width, bottom / height, PANEL / width, PANEL / height))
            _panel(axes, image, title)
        middle = (bottom + PANEL / 2) / height
        figure.text(0.1 / width, middle + 0.05 / height, row.name, fontsize=9.5, weight="bold", va="bottom")
        figure.text(0.1 / width, middle, row.note, fontsize=7.5, color="0.35", va="top")
    return figure


def _panel(axes: Axes, image: np.ndarray, title: str) -> None:
    composite.draw(axes, image)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if title:
        # names come from files: no mathematics in them
        axes.set_title(title, fontsize=7, pad=2, parse_math=False)
