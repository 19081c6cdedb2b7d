"""Pages of maps. Blue supports 'lens', red supports 'non-lens', on one symmetric scale a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from scipy.ndimage import gaussian_filter

from lensdream.instrument import EUCLID, Band
from lensdream.plots import composite

ARC_COLOURS = ("#ffb000", "#00d0a0")
"""contours of the arcs of source 1 and source 2"""
ON_PICTURE = {"color": "white", "bbox": {"facecolor": "black", "alpha": 0.6, "linewidth": 0, "pad": 1.5}}
"""text that is legible on dark and on bright"""
CELL, GAP = 1.8, 0.1
"""side of a panel and the space between two [inch]"""
LEFT, TOP, BELOW = 0.45, 0.6, 0.6
"""margins for labels, headings and colour bars [inch]"""
LINE = 0.15
"""width of a line of a row's label beyond the second [inch]"""
NOTE = 0.25
"""height of a line below the colour bars [inch]"""


@dataclass(frozen=True)
class MapsRow:
    """One scene on a page of maps; all maps (y, x)."""

    label: str
    image: np.ndarray
    """(band, y, x) [microjansky a pixel]"""
    arcs: tuple[np.ndarray, np.ndarray]
    """(y, x) bool masks of source 1 and source 2"""
    occlusion_zero: np.ndarray
    """[logit], positive supports 'lens'"""
    occlusion_sky: np.ndarray
    """[logit], positive supports 'lens'"""
    guided_grad_cam: np.ndarray
    """positive parts, summed over bands"""


@dataclass(frozen=True)
class DreamRow:
    """One scene and its dreams towards both classes; images (band, y, x) [microjansky a pixel]."""

    label: str
    non_lens: np.ndarray
    original: np.ndarray
    lens: np.ndarray
    logits: tuple[float, float, float]
    """of the three images"""


@dataclass(frozen=True)
class AblationRow:
    """One scene and its images without each component; images (band, y, x) [microjansky a pixel]."""

    label: str
    original: np.ndarray
    logit: float
    without: Mapping[str, tuple[np.ndarray, float]]
    """component -> image without it, and its logit"""


def maps_page(title: str, rows: Sequence[MapsRow], windows: tuple[int, int], note: str = "") -> Figure:
    """Page of scenes, a row each: colours, VIS, true arcs, occlusion maps by black and by sky, Guided Grad-CAM.

    windows: sides of the black square and of that of sky [pixel]. note: printed below. Raises `ValueError` without rows.
    """
    if not rows:
        raise ValueError(f"no scene to draw on the page '{title}'")
    headings = (
        "VIS, Y J, H",
        "VIS",
        "VIS less its blur, true arcs",
        *(f"{window}x{window} occlusion, {fill}" for window, fill in zip(windows, ("black", "sky"), strict=True)),
        "Guided Grad-CAM",
    )
    left = LEFT + LINE * max(0, *(row.label.count("\n") - 1 for row in rows))
    figure, axes = grid(title, len(rows), headings, BELOW + NOTE if note else BELOW, left=left)
    limit = robust_maximum([m for row in rows for m in (row.occlusion_zero, row.occlusion_sky)])
    brightest = robust_maximum([row.guided_grad_cam for row in rows])
    signed, guided = None, None
    for row, line in zip(rows, axes, strict=True):
        composite.draw(line[0], row.image)
        draw_vis(line[1], row.image)
        draw_fine_structure(line[2], row.image)
        _draw_arcs(line[2], row.arcs, 1.0)
        for axis, change in ((line[3], row.occlusion_zero), (line[4], row.occlusion_sky)):
            signed = draw_signed(axis, change, limit)
            _draw_arcs(axis, row.arcs, 0.5)
        guided = line[5].imshow(
            row.guided_grad_cam, cmap="Blues", vmin=0, vmax=brightest, origin="lower", interpolation="nearest"
        )
        _draw_arcs(line[5], row.arcs, 0.5)
        line[0].set_ylabel(row.label, fontsize="small", parse_math=False)
    bar = bar_below(figure, axes[-1, 3:5], signed, "both")
    bar.set_label("change in the logit: red supports non-lens, blue lens", fontsize="small")
    bar = bar_below(figure, axes[-1, 5:], guided, "max")
    bar.set_ticks([0, brightest], labels=["0", "max"])
    bar.set_label("supports lens", fontsize="small")
    if note:
        note_below(figure, note)
    return figure


def dream_page(title: str, rows: Sequence[DreamRow]) -> Figure:
    """Page of dreams, a row a scene: dreamt non-lens, original, dreamt lens, each with its logit.

    Raises `ValueError` without rows.
    """
    if not rows:
        raise ValueError(f"no scene to draw on the page '{title}'")
    figure, axes = grid(title, len(rows), ("dreamt non-lens", "original", "dreamt lens"), 0.0)
    for row, line in zip(rows, axes, strict=True):
        for axis, image, logit in zip(line, (row.non_lens, row.original, row.lens), row.logits, strict=True):
            _draw_with_logit(axis, image, logit)
        line[0].set_ylabel(row.label, fontsize="small", parse_math=False)
    return figure


def ablation_page(title: str, rows: Sequence[AblationRow], components: Sequence[str]) -> Figure:
    """Page of ablations, a row a scene: whole, then without each component that some scene has, with logits.

    The only source of a lens is its arcs: without a second source there is no column for the first.
    Raises `ValueError` without rows.
    """
    if not rows:
        raise ValueError(f"no scene to draw on the page '{title}'")
    there = {name for row in rows for name in row.without}
    names = [c for c in components if c in there and (c != "source_1" or "source_2" in there)]
    headings = ("whole", *(f"without {name.replace('_', ' ')}" for name in names))
    figure, axes = grid(title, len(rows), headings, 0.0)
    for row, line in zip(rows, axes, strict=True):
        _draw_with_logit(line[0], row.original, row.logit)
        for axis, name in zip(line[1:], names, strict=True):
            if name in row.without:
                _draw_with_logit(axis, *row.without[name])
            else:
                axis.set_axis_off()
        line[0].set_ylabel(row.label, fontsize="small", parse_math=False)
    return figure


def _draw_with_logit(axis: Axes, image: np.ndarray, logit: float) -> None:
    composite.draw(axis, image)
    axis.text(0.03, 0.03, f"logit {logit:+.2f}", fontsize="small", transform=axis.transAxes, **ON_PICTURE)


def grid(
    title: str,
    n_rows: int,
    headings: Sequence[str],
    below: float,
    *,
    left: float = LEFT,
    top: float = TOP,
    between: float = GAP,
) -> tuple[Figure, np.ndarray]:
    """Figure of rows of square panels without ticks under a title; `headings`: one a column, above the first row.

    below, left, top, between: space under the last row, for labels, above the first row and between two [inch].
    """
    # Laid out by hand: automatic layouts shrink the panels above a colour bar out of line with the rest.
    width = left + (CELL + GAP) * len(headings)
    height = top + CELL * n_rows + between * (n_rows - 1) + GAP + below
    figure = Figure(figsize=(width, height), dpi=130)
    edges = {"left": left / width, "right": 1 - GAP / width, "top": 1 - top / height, "bottom": (below + GAP) / height}
    spaces = {"wspace": GAP / CELL, "hspace": between / CELL}
    axes = figure.subplots(n_rows, len(headings), squeeze=False, gridspec_kw=edges | spaces)
    for axis, heading in zip(axes[0], headings, strict=True):
        axis.set_title(heading, fontsize="small")
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
    figure.suptitle(title, fontsize="medium", y=1 - 0.12 / height, va="top", parse_math=False)
    return figure, axes


def bar_below(figure: Figure, axes: np.ndarray, drawn: AxesImage, extend: str) -> Colorbar:
    """Colour bar under these panels of the last row."""
    left, right, bottom = axes[0].get_position().x0, axes[-1].get_position().x1, axes[0].get_position().y0
    inch = 1 / figure.get_figheight()
    inset = 0.08 * (right - left)
    bar_axes = figure.add_axes((left + inset, bottom - 0.25 * inch, right - left - 2 * inset, 0.1 * inch))
    bar = figure.colorbar(drawn, cax=bar_axes, orientation="horizontal", extend=extend)
    bar.ax.tick_params(labelsize="small")
    bar.locator = MaxNLocator(5)
    bar.update_ticks()
    return bar


def note_below(figure: Figure, note: str) -> None:
    """Print a line in the lower right corner; `grid` must have been given `NOTE` more space below."""
    width, height = figure.get_size_inches()
    figure.text(1 - GAP / width, 0.25 * NOTE / height, note, ha="right", fontsize="small", parse_math=False)


def draw_signed(axis: Axes, change: np.ndarray, limit: float) -> AxesImage:
    """Draw a map (y, x): blue where it supports 'lens', red where 'non-lens', white at 0, full at `limit`."""
    return axis.imshow(change, cmap="RdBu", vmin=-limit, vmax=limit, origin="lower", interpolation="nearest")


def draw_vis(axis: Axes, image: np.ndarray) -> None:
    """Draw VIS in grey, by asinh of the flux in sky scatters, on one fixed scale for all pages."""
    bright = np.arcsinh(image[Band.VIS] / EUCLID.bands[Band.VIS].sky_sigma / 2.0)
    axis.imshow(bright, cmap="gray", vmin=-0.6, vmax=float(np.arcsinh(300.0)), origin="lower", interpolation="nearest")


def draw_fine_structure(axis: Axes, image: np.ndarray) -> None:
    """Draw VIS less its own blur, in units of each pixel's noise: faint arcs in the light of a deflector stand out."""
    band, flux = EUCLID.bands[Band.VIS], np.asarray(image[Band.VIS], np.float32)
    blurred = gaussian_filter(flux, 2.5)
    noise = np.sqrt(band.sky_sigma**2 + np.maximum(blurred, 0.0) / band.electrons_per_microjansky)
    axis.imshow((flux - blurred) / noise, cmap="gray", vmin=-3, vmax=6, origin="lower", interpolation="nearest")


def _draw_arcs(axis: Axes, arcs: tuple[np.ndarray, np.ndarray], width: float) -> None:
    for mask, colour in zip(arcs, ARC_COLOURS, strict=True):
        if mask.any():
            axis.contour(mask.astype(float), levels=[0.5], colors=[colour], linewidths=width)


def robust_maximum(maps: Sequence[np.ndarray]) -> float:
    """Largest size of a page's pixels but for 0.2 % of them, so that no single pixel fades the rest; 1 where all are 0."""
    largest = float(np.percentile(np.abs(np.stack(maps)), 99.8))
    return largest if largest > 0 else 1.0
