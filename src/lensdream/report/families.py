"""Examples of every family in one picture, a row each."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lensdream.dataset.store import ImageStore
from lensdream.families import (
    ARTEFACT,
    COMPANION,
    COMPOUND_ARC,
    DOUBLE_RING,
    EDGE_ON,
    ELLIPTICAL,
    EMPTY,
    FAINT_SECOND,
    FAMILIES,
    FIELD,
    GROUP,
    IRREGULAR,
    LENS,
    MATCHED_SINGLE,
    MERGER,
    RING,
    SPIRAL,
    STAR,
    UNDETECTABLE,
    WITH_ARCS,
)
from lensdream.instrument import EUCLID
from lensdream.plots import contact_sheet
from lensdream.plots.contact_sheet import Row, title_of

__all__ = ["FAMILIES", "WITH_ARCS", "caption_of", "choose", "draw", "title_of"]

TWINS = {LENS: ELLIPTICAL, COMPOUND_ARC: MATCHED_SINGLE}
"""families, and those whose scenes are theirs with one thing changed: drawn in the same columns"""
NOTES = {
    LENS: "arcs are detectable",
    ELLIPTICAL: "the lenses above,\nsource moved out",
    SPIRAL: "bulge, disc, arms",
    RING: "Hoag, collisional,\npolar",
    MERGER: "pairs, double nuclei,\nshells",
    COMPANION: "close companions",
    EDGE_ON: "discs from the side",
    GROUP: "early types together",
    IRREGULAR: "clumps without order",
    FIELD: "small and faint",
    STAR: "a point, spikes\nwhere bright",
    ARTEFACT: "cosmic rays, ghosts,\nedges, lost bands",
    EMPTY: "sky, neighbours",
    UNDETECTABLE: "lenses below\nthe detection rule",
    COMPOUND_ARC: "two sources",
    DOUBLE_RING: "two rings",
    MATCHED_SINGLE: "the compound arcs,\none source",
    FAINT_SECOND: "two sources, one\ntoo faint to detect",
}


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


def caption_of(store: ImageStore) -> str:
    """Say what `draw` shows."""
    return (
        f"Stamps of {store.stamp * EUCLID.pixel_scale:g} arcsec, taken evenly from the list and not by eye. VIS is "
        "blue, the mean of Y and J green, H red, all on one fixed scale. Above lenses: Einstein radius and "
        "signal-to-noise of the arcs in VIS, of both sources where there are two."
    )


def draw(store: ImageStore, per_family: int) -> bytes:
    """Draw a row a family, titles where there are arcs; returns the PNG file."""
    rows = [
        Row(
            name.replace("_", " "),
            NOTES.get(name, ""),
            store.images(places),
            contact_sheet.titles_of(name, store.truth.iloc[places]),
        )
        for name, places in choose(store.truth, per_family).items()
    ]
    return contact_sheet.draw(rows)
