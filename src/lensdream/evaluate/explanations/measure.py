"""Metrics of the study: tables over scenes, and their means with intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy.stats import norm

from lensdream.evaluate.explanations import scores
from lensdream.explain.ablation import DISJOINT
from lensdream.explain.dream import vis_minus_h
from lensdream.families import COMPOUND, LENS
from lensdream.instrument import Band


def score_maps(
    maps: Mapping[str, np.ndarray], images: np.ndarray, arcs: np.ndarray, family: np.ndarray, seed: int
) -> dict[str, dict]:
    """Score each method's maps (n, y, x) against the masks of the arcs (n, y, x) bool.

    images: (n, band, y, x), whose VIS band is the brightness control. family: (n,) names.
    Returns for each method `relevance_mass chance brightness random rank_accuracy pointing times_chance times_brightness`,
    each `{"value", "low", "high"}` (95 %, null where nothing was defined), `n`, `n_undefined`, and the same by `families`.
    `brightness` and `random` are the relevance mass of the VIS image and of uniform noise; `times_chance` is the mean
    relevance mass over the mean chance, and `times_brightness` over the mean of `brightness`. A relevance mass is 1 at most,
    so no map reaches more than 1 / chance and 1 / brightness. Scenes without an arc above the sky, or whose map has no
    positive part, are undefined: counted, and in none of the means.
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
    for control in ("chance", "brightness"):
        ratio = scores.bootstrapped_ratio(defined["relevance_mass"].to_numpy(), defined[control].to_numpy(), seed)
        summary[f"times_{control}"] = ratio.as_json()
    return summary | {"n": len(defined), "n_undefined": len(table) - len(defined)}


Dreamt = tuple[str, str]
"""a network and a way of dreaming"""


def dream_table(
    before: np.ndarray,
    after: Mapping[Dreamt, np.ndarray],
    logit_change: Mapping[Dreamt, np.ndarray],
    arcs: np.ndarray,
    family: np.ndarray,
) -> pd.DataFrame:
    """One row a scene, network and way: `scene family network way logit_change colour_change`.

    before, after: images (n, band, y, x) [microjansky a pixel]; arcs: (n, y, x) bool; logit_change: (n,); family: (n,).
    `colour_change` is that of VIS - H [AB mag] inside the arcs, negative for bluer; NaN where there is no arc above the sky
    or no positive flux in it.
    """
    colours = np.array([vis_minus_h(image, mask) for image, mask in zip(before, arcs, strict=True)])
    tables = []
    for (network, way), images in after.items():
        dreamt = np.array([vis_minus_h(image, mask) for image, mask in zip(images, arcs, strict=True)])
        columns = {"logit_change": logit_change[network, way], "colour_change": dreamt - colours}
        about = {"scene": np.arange(len(before)), "family": family, "network": network, "way": way}
        tables.append(pd.DataFrame(about | columns))
    return pd.concat(tables, ignore_index=True)


def measure_dream(table: pd.DataFrame, network: str, seed: int) -> dict:
    """Metrics of one network's dreams of scenes with arcs; table: as `dream_table` gives it.

    Returns for each way `logit_change` and `arc_vis_minus_h_change` (negative is bluer) with 95 % intervals, `bluer`, the
    share of scenes whose arcs are, the same by `families`, and `n` scenes and `n_undefined`, those without a colour, which
    are in no mean of it; and `between_ways`, the colour after the first way less that after the second, scene by scene.
    """
    rows = table[table["network"] == network]
    ways = {str(way): part for way, part in rows.groupby("way", sort=False)}
    result: dict = {}
    for way, part in ways.items():
        by_family = {str(name): _dreamt(one, seed) for name, one in part.groupby("family", sort=False)}
        result[way] = _dreamt(part, seed) | {"families": by_family}
    if len(ways) == 2:
        one, other = (part.set_index("scene")["colour_change"] for part in ways.values())
        result["between_ways"] = scores.bootstrapped_mean((one - other).to_numpy(float), seed).as_json()
    return result


def _dreamt(rows: pd.DataFrame, seed: int) -> dict:
    colour = rows["colour_change"].to_numpy(float)
    defined = np.isfinite(colour)
    bluer = np.where(defined, colour < 0, np.nan)
    return {
        "logit_change": scores.bootstrapped_mean(rows["logit_change"].to_numpy(float), seed).as_json(),
        "arc_vis_minus_h_change": scores.bootstrapped_mean(colour, seed).as_json(),
        "bluer": scores.bootstrapped_mean(bluer, seed).as_json(),
        "n": int(defined.sum()),
        "n_undefined": int((~defined).sum()),
    }


def measure_ablation(table: pd.DataFrame, seed: int) -> dict:
    """Metrics of the ablation of components, and rank correlations of maps with it.

    table: one row a component of a scene: `scene family component logit change pixels`, where `change` is the logit lost
    with the component, and for `DISJOINT` components `inside_<map>`, each map's sum in the component's pixels.
    Returns `components` by group of scenes (families with arcs, all non-lenses, those of them called lenses) and component:
    `logit_change` and, among scenes called lenses, `lost`, the share that without it are not, each with a 95 % interval,
    and `n`; `rank_correlation` of each map's sums with the change over `n` components, of which those without a pixel
    above the sky are undefined: `n_undefined`, in no correlation; among the maps `covered_at_once_*`, no map but a
    reference: the logit lost with exactly the component's pixels covered; `rank_correlation_by_group`, the same within
    each group;
    `rank_correlation_within_scenes`, the mean over scenes of three components or more in which an arc is;
    `source_2_first` of compound lenses, the share where the second source's light carries more of the logit than the first's.
    """
    groups = {family: table["family"] == family for family in (LENS, *COMPOUND)}
    groups["non_lenses"] = ~table["family"].isin(list(groups))
    groups["false_positives"] = groups["non_lenses"] & (table["logit"] > 0)
    inside = table[table["component"].isin(DISJOINT)]
    defined = inside[inside["pixels"] > 0]
    return {
        "components": {name: _by_component(table[chosen], seed) for name, chosen in groups.items() if chosen.any()},
        "rank_correlation": _rank_correlations(defined, seed),
        "rank_correlation_by_group": {
            name: _rank_correlations(defined[chosen.loc[defined.index]], seed)
            for name, chosen in groups.items()
            if chosen.any()
        },
        "rank_correlation_within_scenes": _rank_correlations_within_scenes(
            defined[~groups["non_lenses"].loc[defined.index]], seed
        ),
        "n": len(defined),
        "n_undefined": len(inside) - len(defined),
        "source_2_first": {
            family: scores.bootstrapped_mean(_second_source_leads(table[table["family"] == family]), seed).as_json()
            for family in COMPOUND
        },
    }


def _maps(table: pd.DataFrame) -> dict[str, str]:
    """Maps whose sums are columns of a table of components, with the name of the column."""
    return {name.removeprefix("inside_"): name for name in table if name.startswith("inside_")}


def _rank_correlations(defined: pd.DataFrame, seed: int) -> dict[str, dict]:
    change, scene = defined["change"].to_numpy(), defined["scene"].to_numpy()
    return {
        name: scores.bootstrapped_rank_correlation(defined[column].to_numpy(), change, scene, seed).as_json()
        for name, column in _maps(defined).items()
    }


def _rank_correlations_within_scenes(defined: pd.DataFrame, seed: int) -> dict[str, dict]:
    scenes = [rows for _, rows in defined.groupby("scene")]
    found = {}
    for name, column in _maps(defined).items():
        values = [scores.rank_correlation(rows[column].to_numpy(), rows["change"].to_numpy()) for rows in scenes]
        mean = scores.bootstrapped_mean(np.array(values), seed).as_json()
        found[name] = mean | {"n": int(np.isfinite(values).sum())}
    return found


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


def _second_source_leads(table: pd.DataFrame) -> np.ndarray:
    """Whether source 2 carries more of the logit than source 1, for the scenes that have both, 1 or 0."""
    change = table.pivot_table(index="scene", columns="component", values="change")
    if not {"source_1", "source_2"} <= set(change):
        return np.empty(0)
    both = change[["source_1", "source_2"]].dropna()
    return (both["source_2"] > both["source_1"]).to_numpy(float)


def measure_sanity(
    original: Mapping[str, np.ndarray], randomised: Mapping[str, Mapping[str, np.ndarray]], seed: int
) -> dict:
    """Rank correlation of the size of each method's maps (n, y, x) with that of its maps of a randomised network.

    randomised: layer down to which the network was randomised -> method -> maps (n, y, x). The correlation of a
    method that depends on the weights falls to zero. Returns for each method, by layer, the mean over scenes with its 95 %
    interval and `n_undefined`, the scenes of which a map is the same everywhere: they are in no mean.
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
    """Metrics of deletion curves: method -> logits (n, step), most relevant first and least relevant first.

    Returns for each method the mean logit over the steps, `most_first` (low is good) and `least_first` (high is good), and
    their `gap`, each with a 95 % interval, and `n`.
    """
    result: dict = {"n": len(next(iter(curves.values()))[0])}
    for method, (most, least) in curves.items():
        values = {"most_first": most.mean(1), "least_first": least.mean(1), "gap": (least - most).mean(1)}
        result[method] = {name: scores.bootstrapped_mean(v, seed).as_json() for name, v in values.items()}
    return result


def channel_table(mean: np.ndarray, effect: np.ndarray, lens: np.ndarray, lens_of_effect: np.ndarray) -> pd.DataFrame:
    """Table of channels, a row each: mean activation on lenses and on non-lenses, and effect on their logits.

    mean: (n, channel) mean activations of images that `lens` (n,) bool are lenses; effect: (m, channel) logit lost without
    the channel, for images that `lens_of_effect` (m,) bool are. `auroc`: of the mean activation as a lens finder, below 0.5
    where non-lenses have more of it; NaN where one class is missing. `effect`: mean size of the loss, `effect_lens` and
    `effect_non_lens` its means with their sign; NaN where there is no such image.
    """
    return pd.DataFrame(
        {
            "channel": np.arange(mean.shape[1]),
            LENS: _mean(mean[lens]),
            "non_lens": _mean(mean[~lens]),
            "auroc": [scores.auroc(values, lens) for values in mean.T],
            "effect": _mean(np.abs(effect)),
            "effect_lens": _mean(effect[lens_of_effect]),
            "effect_non_lens": _mean(effect[~lens_of_effect]),
        }
    )


def _mean(values: np.ndarray) -> np.ndarray:
    return values.mean(0) if len(values) else np.full(values.shape[1], np.nan)


def measure_channels(table: pd.DataFrame, mean: np.ndarray, lens: np.ndarray, seed: int) -> dict:
    """Metrics of a table of channels: table, mean, lens as `channel_table` gives and takes them.

    Returns `n` images, `n_channels`, `n_silent` that are never active, `n_higher_for_lenses` and
    `n_higher_for_non_lenses`, those whose mean activations differ by more than chance allows (95 %, Bonferroni's
    correction for so many channels),
    `strongest` and `best`, the channels without which logits change most and whose activation separates lenses best, and
    `best_auroc` with its 95 % interval.
    """
    resampled = np.random.default_rng(seed)
    tail = 0.025 / mean.shape[1]
    difference, error = _difference(mean, lens)
    beyond = norm.isf(tail) * error
    best = int((table["auroc"] - 0.5).abs().fillna(0).idxmax())
    drawn = []
    for _ in range(200):
        rows = resampled.integers(len(lens), size=len(lens))
        drawn.append(scores.auroc(mean[rows, best], lens[rows]))
    defined = np.array(drawn)[~np.isnan(drawn)]
    low, high = np.percentile(defined, (2.5, 97.5)) if len(defined) else (np.nan, np.nan)
    return {
        "n": len(lens),
        "n_channels": mean.shape[1],
        "n_silent": int((mean.max(0) == 0).sum()),
        "n_higher_for_lenses": int((difference > beyond).sum()),
        "n_higher_for_non_lenses": int((difference < -beyond).sum()),
        "strongest": int(table["effect"].fillna(0).idxmax()),
        "best": best,
        "best_auroc": scores.Interval(float(table["auroc"][best]), float(low), float(high)).as_json(),
    }


def _difference(mean: np.ndarray, lens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of lenses less that of non-lenses, of each channel, and its standard error; NaN with fewer than two of a class."""
    classes = [mean[lens], mean[~lens]]
    if min(map(len, classes)) < 2:
        return np.full((2, mean.shape[1]), np.nan)
    variance = sum(values.var(0, ddof=1) / len(values) for values in classes)
    return classes[0].mean(0) - classes[1].mean(0), np.sqrt(variance)


def flat(tree: Mapping, prefix: str = "") -> dict[str, float]:
    """Numbers of nested mappings under dotted names, but for undefined numbers and those of single families."""
    numbers = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            numbers |= {} if key == "families" else flat(value, f"{prefix}{key}.")
        elif value is not None:
            numbers[f"{prefix}{key}"] = float(value)
    return numbers
