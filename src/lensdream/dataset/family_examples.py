"""Examples of every family in one picture, a row each."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lensdream.dataset.store import ImageStore
from lensdream.families import BY_NAME, FAMILIES
from lensdream.instrument import EUCLID
from lensdream.plots import contact_sheet
from lensdream.plots.contact_sheet import Row


def choose(truth: pd.DataFrame, per_family: int) -> dict[str, np.ndarray]:
    """Choose `per_family` positions of each family of the test and compound splits, evenly spread and not by eye.

    A family with a twin is drawn from its scenes with a partner, and the twin shows those partners. Families without a
    scene are left out. Raises `ValueError` if there is none at all.
    """
    family = truth["family"].to_numpy()
    eligible = truth["split"].isin(["test", "compound"]).to_numpy()
    position_of = pd.Series(np.arange(len(truth)), truth["index"])
    partner = position_of.reindex(truth["partner"]).fillna(-1).to_numpy(int)
    chosen: dict[str, np.ndarray] = {}
    for name in FAMILIES:
        if name in chosen:
            continue
        positions = np.flatnonzero(eligible & (family == name))
        twin = BY_NAME[name].twin
        paired = positions[(partner[positions] >= 0) & (family[partner[positions]] == twin)]
        if len(paired) >= per_family:
            chosen[name] = _evenly(paired, per_family)
            chosen[twin] = partner[chosen[name]]
        elif len(positions):
            chosen[name] = _evenly(positions, per_family)
    if not chosen:
        raise ValueError("the store has no scene of the splits 'test' and 'compound' to draw: raise population.test")
    return {name: chosen[name] for name in FAMILIES if name in chosen}


def _evenly(positions: np.ndarray, n: int) -> np.ndarray:
    return positions[np.linspace(0, len(positions) - 1, min(n, len(positions))).round().astype(int)]


def caption_of(store: ImageStore) -> str:
    """Caption of the picture that `draw` makes."""
    return (
        f"Stamps of {store.stamp * EUCLID.pixel_scale:g} arcsec, taken evenly from the list and not by eye. VIS is "
        "blue, the mean of Y and J green, H red, all on one fixed scale. Above lenses: Einstein radius and "
        "signal-to-noise of the arcs in VIS, of both sources where there are two."
    )


def draw(store: ImageStore, per_family: int) -> Figure:
    """Draw a row a family, titles over images with arcs."""
    rows = [
        Row(
            name.replace("_", " "),
            BY_NAME[name].note,
            store.images(positions),
            contact_sheet.titles_of(name, store.truth.iloc[positions]),
        )
        for name, positions in choose(store.truth, per_family).items()
    ]
    return contact_sheet.draw(rows)
