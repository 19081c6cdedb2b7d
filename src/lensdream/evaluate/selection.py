"""Selection function: completeness in bins of the properties of lenses."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import numpy as np
import pandas as pd

from lensdream.instrument import AB_ZERO_POINT_MICROJANSKY

EDGES = {
    "theta_E": (0.2, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0, 4.0),
    "arc_snr": (0, 20, 25, 30, 40, 60, 100, 200, 1000),
    "magnitude_lensed_source_VIS": (17, 20, 21, 22, 22.5, 23, 23.5, 24, 26),
    "magnitude_lens_VIS": (15, 18, 19, 20, 21, 22, 23, 24, 28),
}
"""units: arcsec, none, AB mag, AB mag"""
MAPPED = ("theta_E", "arc_snr")
"""properties of the map: Einstein radius and signal-to-noise of the arcs"""
COMPOUND_EDGES = {
    "theta_E_1": EDGES["theta_E"],
    "theta_E_2": EDGES["theta_E"],
    "arc_snr_2": EDGES["arc_snr"],
}
"""bins of lenses with two sources, by column of the truth table"""


def lens_properties(truth: pd.DataFrame) -> pd.DataFrame:
    """Properties in `EDGES` of the lenses in rows of the truth table."""
    with np.errstate(divide="ignore"):
        source, lens = (
            AB_ZERO_POINT_MICROJANSKY - 2.5 * np.log10(truth[f"flux_{part}_VIS"]) for part in ("source_1", "target")
        )
    return pd.DataFrame(
        {
            "theta_E": truth["theta_E_1"],
            "arc_snr": truth["arc_snr_1"],
            "magnitude_lensed_source_VIS": source,
            "magnitude_lens_VIS": lens,
        }
    )


def bin_of(values: np.ndarray, edges: tuple[float, ...]) -> np.ndarray:
    """Number of the bin (N,) of each value; values beyond the edges are in the outermost bins."""
    return np.clip(np.digitize(values, edges) - 1, 0, len(edges) - 2)


def completeness(truth: pd.DataFrame, logits: np.ndarray, thresholds: Mapping[str, float]) -> dict[str, list[dict]]:
    """Completeness of lenses with one source in bins of their properties; truth: rows of the truth table."""
    return binned(lens_properties(truth), EDGES, logits, thresholds)


def completeness_map(truth: pd.DataFrame, logits: np.ndarray, threshold: float) -> list[dict[str, float]]:
    """Completeness above a logit in cells of Einstein radius and S/N of the arcs; see `binned`.

    Rows of {theta_E_low, theta_E_high, arc_snr_low, arc_snr_high, n, completeness}, of lenses with one source.
    """
    properties = lens_properties(truth)
    cells = [bin_of(properties[name], EDGES[name]) for name in MAPPED]
    rows = []
    for indices in product(*(range(len(EDGES[name]) - 1) for name in MAPPED)):
        inside = np.logical_and.reduce([which == k for which, k in zip(cells, indices, strict=True)])
        if inside.any():
            row = {}
            for name, k in zip(MAPPED, indices, strict=True):
                row |= {f"{name}_low": EDGES[name][k], f"{name}_high": EDGES[name][k + 1]}
            rows.append(row | {"n": int(inside.sum()), "completeness": float((logits[inside] > threshold).mean())})
    return rows


def binned(
    properties: pd.DataFrame,
    edges_of: Mapping[str, tuple[float, ...]],
    logits: np.ndarray,
    thresholds: Mapping[str, float],
) -> dict[str, list[dict]]:
    """Rows of {low, high, n, completeness_at_<name>} for each property; bins without lenses are left out.

    The first and the last bin include values beyond them.
    """
    table: dict[str, list[dict]] = {}
    for name, edges in edges_of.items():
        which = bin_of(properties[name], edges)
        rows = []
        for k in range(len(edges) - 1):
            inside = which == k
            if inside.any():
                found = {f"completeness_at_{at}": float((logits[inside] > t).mean()) for at, t in thresholds.items()}
                rows.append({"low": edges[k], "high": edges[k + 1], "n": int(inside.sum()), **found})
        table[name] = rows
    return table
