"""Examples of every family in one picture, a row each."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lensdream import picture
from lensdream.dataset import ImageStore
from lensdream.scene import FAMILIES_COMPOUND, FAMILIES_LENS, FAMILIES_NON_LENS, FAMILY_UNDETECTABLE
from lensdream.survey import EUCLID

FAMILIES = (*FAMILIES_LENS, *FAMILIES_NON_LENS, FAMILY_UNDETECTABLE, *FAMILIES_COMPOUND)
WITH_ARCS = (*FAMILIES_LENS, FAMILY_UNDETECTABLE, *FAMILIES_COMPOUND)
TWINS = {"lens": "elliptical", "compound_arc": "matched_single"}
"""families, and those whose scenes are theirs with one thing changed: drawn in the same columns"""
NOTES = {
    "lens": "arcs are detectable",
    "elliptical": "the lenses above,\nsource moved out",
    "spiral": "bulge, disc, arms",
    "companion": "close companions",
    "field": "small and faint",
    "star": "",
    "empty": "sky, neighbours",
    "undetectable": "lenses below\nthe detection rule",
    "compound_arc": "two sources",
    "double_ring": "two rings",
    "matched_single": "the compound arcs,\none source",
}

DPI = 100
"""and true colour: 66 stamps come to 1.1 MB; a palette of 256 halves that and draws contours around bright galaxies"""
PANEL, GAP, TITLE, LEFT = 1.6, 0.06, 0.16, 1.3
"""side of a panel, space between two, room for a title, margin for the names [inch]; 80 pixels are drawn at 160"""


def choose(truth: pd.DataFrame, per_family: int) -> dict[str, np.ndarray]:
    """Choose `per_family` positions of each family of the test and compound splits, evenly spread and not by eye.

    A family in `TWINS` is drawn from its scenes with a partner, and its twin shows those partners. Families without a
    scene are left out. Raises `ValueError` if there is none at all.
    """
    family = truth["family"].to_numpy()
    shown = truth["split"].isin(["test", "compound"]).to_numpy()
    position_of = pd.Series(np.arange(len(truth)), truth["index"])
    partner = position_of.reindex(truth["partner"]).fillna(-1).to_numpy(int)
    chosen: dict[str, np.ndarray] = {}
    for name in FAMILIES:
        if name in chosen:
            continue
        places = np.flatnonzero(shown & (family == name))
        twin = TWINS.get(name)
        paired = places[(partner[places] >= 0) & (family[partner[places]] == twin)]
        if len(paired) >= per_family:
            chosen[name] = _evenly(paired, per_family)
            chosen[twin] = partner[chosen[name]]
        elif len(places):
            chosen[name] = _evenly(places, per_family)
    if not chosen:
        raise ValueError("the store has no scene of the splits 'test' and 'compound' to draw: raise population.test")
    return {name: chosen[name] for name in FAMILIES if name in chosen}


def _evenly(places: np.ndarray, n: int) -> np.ndarray:
    return places[np.linspace(0, len(places) - 1, min(n, len(places))).round().astype(int)]


def title_of(row: pd.Series) -> str:
    """Give the Einstein radii [arcsec] and the S/N of the arcs in VIS, of both sources where there are two."""
    radii = ", ".join(f"{row[name]:.2f}″" for name in ("theta_E_1", "theta_E_2") if row[name] > 0)
    ratios = ", ".join(f"{row[name]:.0f}" for name in ("arc_snr_1", "arc_snr_2") if row[name] > 0)
    return f"θ {radii}  S/N {ratios}"


def caption_of(store: ImageStore) -> str:
    """Say what `draw` shows."""
    return (
        f"Stamps of {store.stamp * EUCLID.pixel_scale:g} arcsec, taken evenly from the list and not by eye. VIS is "
        "blue, the mean of Y and J green, H red, all on one fixed scale. Above lenses: Einstein radius and "
        "signal-to-noise of the arcs in VIS, of both sources where there are two."
    )


def draw(store: ImageStore, per_family: int) -> bytes:
    """Draw a row a family, colours on the one fixed scale, titles where there are arcs; returns the PNG file."""
    chosen = choose(store.truth, per_family)
    columns = max(len(places) for places in chosen.values())
    heights = {name: PANEL + (TITLE if name in WITH_ARCS else 0.0) + GAP for name in chosen}
    width, height = LEFT + columns * (PANEL + GAP), sum(heights.values()) + GAP
    figure = Figure(figsize=(width, height), dpi=DPI)
    bottom = height
    for name, places in chosen.items():
        bottom -= heights[name]
        images = store.images(places)
        for column, (place, image) in enumerate(zip(places, images, strict=True)):
            left = LEFT + column * (PANEL + GAP)
            axes = figure.add_axes((left / width, bottom / height, PANEL / width, PANEL / height))
            _panel(axes, image, title_of(store.truth.iloc[place]) if name in WITH_ARCS else "")
        middle = (bottom + PANEL / 2) / height
        figure.text(
            0.1 / width, middle + 0.05 / height, name.replace("_", " "), fontsize=9.5, weight="bold", va="bottom"
        )
        figure.text(0.1 / width, middle, NOTES[name], fontsize=7.5, color="0.35", va="top")
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI, pil_kwargs={"optimize": True})
    return drawn.getvalue()


def _panel(axes: Axes, image: np.ndarray, title: str) -> None:
    picture.draw(axes, image)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if title:
        axes.set_title(title, fontsize=7, pad=2)
