"""Numbers out of explanations: tables over scenes, summed up to means and intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lensdream.explain import scores
from lensdream.explain.ablation import DISJOINT
from lensdream.explain.dream import vis_minus_h
from lensdream.explain.explained import FAMILIES_COMPOUND
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


def measure_ablation(table: pd.DataFrame, seed: int) -> dict:
    """Sum up the ablation of components, and how well maps foretell it.

    table: one row a component of a scene: `scene family component logit change pixels`, where `change` is the logit lost
    with the component, and for `DISJOINT` components `inside_<map>`, each map's sum in the component's pixels.
    Returns `components` by group of scenes (families with arcs, all non-lenses, those of them called lenses) and component:
    `logit_change` and, among scenes called lenses, `lost`, the share that without it are not, each with a 95 % interval,
    and `n`; `rank_correlation` of each map's sums with the change over `n` components, of which those without a pixel
    above the sky are undefined: `n_undefined`, in no correlation; `source_2_first` of compound lenses, the share where
    the second source's light carries more of the logit than the first's.
    """
    groups = {family: table["family"] == family for family in ("lens", *FAMILIES_COMPOUND)}
    groups["non_lenses"] = ~table["family"].isin(list(groups))
    groups["false_positives"] = groups["non_lenses"] & (table["logit"] > 0)
    inside = table[table["component"].isin(DISJOINT)]
    seen = inside[inside["pixels"] > 0]
    maps = [name for name in table if name.startswith("inside_")]
    change, scene = seen["change"].to_numpy(), seen["scene"].to_numpy()
    return {
        "components": {name: _by_component(table[chosen], seed) for name, chosen in groups.items() if chosen.any()},
        "rank_correlation": {
            name.removeprefix("inside_"): scores.bootstrapped_rank_correlation(
                seen[name].to_numpy(), change, scene, seed
            ).as_json()
            for name in maps
        },
        "n": len(seen),
        "n_undefined": len(inside) - len(seen),
        "source_2_first": {
            family: scores.bootstrapped_mean(_second_is_first(table[table["family"] == family]), seed).as_json()
            for family in FAMILIES_COMPOUND
        },
    }


def _by_component(table: pd.DataFrame, seed: int) -> dict[str, dict]:
    summary = {}
    for name, rows in table.groupby("component", sort=False):
        called = rows[rows["logit"] > 0]
        lost = (called["logit"] - called["change"] <= 0).to_numpy(float)
        summary[str(name)] = {
            "logit_change": scores.bootstrapped_mean(rows["change"].to_numpy(), seed).as_json(),
            "lost": scores.bootstrapped_mean(lost, seed).as_json(),
            "n": len(rows),
        }
    return summary


def _second_is_first(table: pd.DataFrame) -> np.ndarray:
    """Whether source 2 weighs more than source 1, of the scenes that have both."""
    change = table.pivot_table(index="scene", columns="component", values="change")
    if not {"source_1", "source_2"} <= set(change):
        return np.empty(0)
    both = change[["source_1", "source_2"]].dropna()
    return (both["source_2"] > both["source_1"]).to_numpy(float)


def measure_sanity(
    original: Mapping[str, np.ndarray], randomised: Mapping[str, Mapping[str, np.ndarray]], seed: int
) -> dict:
    """Rank correlation of the size of each method's maps (n, y, x) with that of its maps of a randomised network.

    randomised: layer down to which the network was randomised -> method -> maps (n, y, x). A method that shows what the
    network has learned falls to zero. Returns for each method, by layer, the mean over scenes with its 95 % interval and
    `n_undefined`, the scenes of which a map is the same everywhere: they are in no mean.
    """
    result: dict = {"n": len(next(iter(original.values())))}
    for method, maps in original.items():
        result[method] = {}
        for layer, others in randomised.items():
            values = np.array(
                [
                    scores.rank_correlation(np.abs(one).ravel(), np.abs(other).ravel())
                    for one, other in zip(maps, others[method], strict=True)
                ]
            )
            undefined = {"n_undefined": int(np.isnan(values).sum())}
            result[method][layer] = scores.bootstrapped_mean(values, seed).as_json() | undefined
    return result


def measure_removal(curves: Mapping[str, tuple[np.ndarray, np.ndarray]], seed: int) -> dict:
    """Sum up curves of removal: method -> logits (n, step), most relevant first and least relevant first.

    Returns for each method the mean logit over the steps, `most_first` (low is good) and `least_first` (high is good), and
    their `gap`, each with a 95 % interval, and `n`.
    """
    result: dict = {"n": len(next(iter(curves.values()))[0])}
    for method, (most, least) in curves.items():
        values = {"most_first": most.mean(1), "least_first": least.mean(1), "gap": (least - most).mean(1)}
        result[method] = {name: scores.bootstrapped_mean(v, seed).as_json() for name, v in values.items()}
    return result


def flat(tree: Mapping, prefix: str = "") -> dict[str, float]:
    """Numbers of nested mappings under dotted names; what was not defined, and single families, are left out."""
    numbers = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            numbers |= {} if key == "families" else flat(value, f"{prefix}{key}.")
        elif value is not None:
            numbers[f"{prefix}{key}"] = float(value)
    return numbers
