"""Numbers out of explanations: tables over scenes, summed up to means and intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lensdream.explain import scores
from lensdream.explain.dream import vis_minus_h
from lensdream.survey import Band


def score_maps(
    maps: Mapping[str, np.ndarray], images: np.ndarray, arcs: np.ndarray, family: np.ndarray, seed: int
) -> dict[str, dict]:
    """Score each method's maps (n, y, x) against the masks of the arcs (n, y, x) bool.

    images: (n, band, y, x), whose VIS band is the brightness control. family: (n,) names.
    Returns for each method `relevance_mass chance brightness random rank_accuracy pointing times_chance`, each
    `{"value", "low", "high"}` (95 %, null where nothing was defined), `n`, `n_undefined`, and the same by `families`.
    `brightness` and `random` are the relevance mass of the VIS image and of uniform noise; `times_chance` is the mean
    relevance mass over the mean chance. Scenes without an arc above the sky, or whose map has no positive part, are
    undefined: counted, and in none of the means.
    """
    noise = np.random.default_rng([seed, 1]).random(arcs.shape)
    controls = {
        "chance": [scores.chance(mask) for mask in arcs],
        "brightness": [scores.relevance_mass(*pair) for pair in zip(images[:, Band.VIS], arcs, strict=True)],
        "random": [scores.relevance_mass(*pair) for pair in zip(noise, arcs, strict=True)],
    }
    result = {}
    for method, values in maps.items():
        pairs = list(zip(values, arcs, strict=True))
        measured = {
            "relevance_mass": [scores.relevance_mass(*pair) for pair in pairs],
            "rank_accuracy": [scores.rank_accuracy(*pair) for pair in pairs],
            "pointing": [scores.pointing(*pair) for pair in pairs],
        }
        table = pd.DataFrame(measured | controls, dtype=float)
        by_family = {str(name): _summary(table[family == name], seed) for name in dict.fromkeys(family)}
        result[method] = _summary(table, seed) | {"families": by_family}
    return result


def _summary(table: pd.DataFrame, seed: int) -> dict:
    """Mean and interval of every column over the scenes whose map has a score."""
    defined = table[table["relevance_mass"].notna()]
    summary: dict = {name: scores.bootstrapped_mean(defined[name].to_numpy(), seed).as_json() for name in table}
    ratio = scores.bootstrapped_ratio(defined["relevance_mass"].to_numpy(), defined["chance"].to_numpy(), seed)
    return summary | {"times_chance": ratio.as_json(), "n": len(defined), "n_undefined": len(table) - len(defined)}


def measure_dream(
    before: np.ndarray, after: np.ndarray, arcs: np.ndarray, has_arcs: np.ndarray, logit_change: np.ndarray, seed: int
) -> dict:
    """Change of logit, and of the colour VIS - H [AB mag] inside the arcs, where negative is bluer.

    before, after: images (n, band, y, x) [microjansky a pixel]; arcs: (n, y, x) bool; logit_change: (n,).
    has_arcs: (n,) bool, the scenes of families that should have arcs. Of these, scenes without an arc above the sky, or
    without positive flux in it, are undefined: counted, and not in the mean.
    """
    colour = np.array(
        [vis_minus_h(after[k], arcs[k]) - vis_minus_h(before[k], arcs[k]) for k in np.flatnonzero(has_arcs)]
    )
    return {
        "arc_vis_minus_h_change": scores.bootstrapped_mean(colour, seed).as_json(),
        "n": int(np.isfinite(colour).sum()),
        "n_undefined": int(np.isnan(colour).sum()),
        "logit_change": scores.bootstrapped_mean(logit_change, seed).as_json(),
        "n_dreamt": len(logit_change),
    }


def flat(tree: Mapping, prefix: str = "") -> dict[str, float]:
    """Numbers of nested mappings under dotted names; what was not defined, and single families, are left out."""
    numbers = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            numbers |= {} if key == "families" else flat(value, f"{prefix}{key}.")
        elif value is not None:
            numbers[f"{prefix}{key}"] = float(value)
    return numbers
