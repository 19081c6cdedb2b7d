"""Page of all maps of one cutout: blue supports 'lens', red 'non-lens', on one symmetric scale."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lensdream.explain.cutout import CutoutMaps
from lensdream.explain.decision import Decision
from lensdream.instrument import EUCLID, Band
from lensdream.plots import composite, heatmaps

LONGEST = 110
"""letters in a line of the title"""
TOP, BETWEEN = 0.8, 0.3
"""space above the first row, for a title of two lines, and between the rows, for headings [inch]"""


def cutout_page(name: str, image: np.ndarray, maps: CutoutMaps, decision: Decision, remark: str = "") -> Figure:
    """Draw a cutout's image (band, y, x) [microjansky a pixel] and all its maps in the unit of occlusion.

    name and decision are printed above, remark below. First row: colours, VIS and the maps over all bands;
    second row: VIS less its blur and the occlusion maps of each band alone.
    """
    score = f"finder: logit {decision.logit:+.2f}, probability of a lens {decision.probability:.3f}"
    title = f"{_shortened(name)}\n{score}; maps of {decision.network}, logit {maps.logit:+.2f}"
    window = f"{maps.window}x{maps.window}"
    headings = ("VIS, Y J, H" if image[Band.Y :].any() else "VIS, bright end", "VIS", f"{window} occlusion, sky")
    headings = (*headings, f"{window} occlusion, black", f"Integrated Gradients in {window}")
    below = heatmaps.BELOW + heatmaps.NOTE if remark else heatmaps.BELOW
    figure, axes = heatmaps.grid(title, 2, headings, below, top=TOP, between=BETWEEN)
    axes[0, 0].imshow(composite.picture(image), origin="lower", interpolation="nearest")
    heatmaps.draw_vis(axes[0, 1], image)
    heatmaps.draw_fine_structure(axes[1, 0], image)
    axes[1, 0].set_title("VIS less its blur", fontsize="small")
    # Not by Integrated Gradients: of bright galaxies they are large and cancel each other.
    limit = heatmaps.robust_maximum([maps.sky, maps.black, *maps.by_band.values()])
    drawn = None
    for axis, values in zip(axes[0, 2:], (maps.sky, maps.black, maps.integrated_squares), strict=True):
        drawn = heatmaps.draw_signed(axis, values, limit)
    for axis, band in zip(axes[1, 1:], Band, strict=True):
        axis.set_title(f"sky in {EUCLID.bands[band].fits_name} alone", fontsize="small")
        if band in maps.by_band:
            heatmaps.draw_signed(axis, maps.by_band[band], limit)
        else:
            _write(axis, "no data")
    bar = heatmaps.bar_below(figure, axes[-1, 1:], drawn, "both")
    bar.set_label("logit lost with the square: red supports non-lens, blue lens", fontsize="small")
    if remark:
        heatmaps.note_below(figure, _shortened(remark))
    return figure


def _write(axis: Axes, words: str) -> None:
    axis.text(0.5, 0.5, words, ha="center", va="center", fontsize="small", color="0.4", transform=axis.transAxes)


def _shortened(words: str) -> str:
    return words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"
