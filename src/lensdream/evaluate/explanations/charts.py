"""Charts of the study's numbers: ablation, sanity checks, deletion and dreams."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lensdream.explain.ablation import COMPONENTS, DISJOINT
from lensdream.families import COMPOUND_ARC, DOUBLE_RING, LENS

COLOURS = ("#1f77b4", "#d08700", "#00936b", "#a0459b", "#c23b22", "#666666")
WAY_COLOURS = ("#2166ac", "#b2182b")
"""towards lens, towards non-lens"""
LINEAR_WITHIN = 1.0
"""logit up to which the axis of changes is linear"""
GROUPS = (LENS, COMPOUND_ARC, DOUBLE_RING, "false_positives")


def ablation_chart(table: pd.DataFrame, result: Mapping) -> Figure:
    """Chart of the logit lost with each component, by group of scenes (left), and of occlusion against it (right).

    table: as `measure.measure_ablation` takes it; result: as it returns it.
    """
    figure = Figure(figsize=(11, 4.2), dpi=130, layout="constrained")
    left, right = figure.subplots(1, 2)
    groups = [name for name in GROUPS if name in result["components"]]
    width = 0.8 / max(len(groups), 1)
    for k, group in enumerate(groups):
        blocks = result["components"][group]
        positions = [COMPONENTS.index(name) + (k - (len(groups) - 1) / 2) * width for name in blocks]
        means = np.array([[b["logit_change"][key] for key in ("low", "value", "high")] for b in blocks.values()], float)
        left.bar(positions, means[:, 1], 0.9 * width, color=COLOURS[k], label=group.replace("_", " "))
        left.vlines(positions, means[:, 0], means[:, 2], color="black", linewidth=0.8)
    left.axhline(0, color="black", linewidth=0.6)
    left.set_xticks(range(len(COMPONENTS)), [name.replace("_", "\n") for name in COMPONENTS], fontsize="small")
    left.set_ylabel("logit lost without it, mean and 95 %")
    left.legend(frameon=False, fontsize="small")
    for colour, name in zip(COLOURS, DISJOINT, strict=False):
        rows = table[(table["component"] == name) & (table["pixels"] > 0)]
        if len(rows):
            right.scatter(
                rows["change"], rows["inside_occlusion_sky"], s=9, alpha=0.6, color=colour, label=name.replace("_", " ")
            )
    right.set_xscale("symlog", linthresh=LINEAR_WITHIN)
    right.set_yscale("symlog", linthresh=16 * LINEAR_WITHIN)
    for line in (right.axhline, right.axvline):
        line(0, color="black", linewidth=0.4)
    right.set_xlabel("logit lost without the component")
    right.set_ylabel("occlusion (sky) summed over its pixels [logit x pixel]")
    correlation = result["rank_correlation"]["occlusion_sky"]
    if correlation["value"] is not None:
        right.set_title(
            f"rank correlation {correlation['value']:.2f} [{correlation['low']:.2f}, {correlation['high']:.2f}]",
            fontsize="medium",
        )
    right.legend(frameon=False, fontsize="small")
    return figure


def sanity_chart(result: Mapping) -> Figure:
    """Chart of the similarity of maps as the network is randomised from its last layer down; result: of `measure_sanity`."""
    figure = Figure(figsize=(6.4, 3.8), dpi=130, layout="constrained")
    axes = figure.subplots()
    for colour, (method, layers) in zip(COLOURS, ((m, v) for m, v in result.items() if m != "n"), strict=False):
        value, low, high = (np.array([b[key] for b in layers.values()], float) for key in ("value", "low", "high"))
        positions = np.arange(1, len(layers) + 1)
        axes.plot([0, *positions], [1, *value], "o-", color=colour, markersize=4, label=method.replace("_", " "))
        axes.fill_between(positions, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.set_xticks([0, *positions], ["trained", *(name.replace("_", " ") for name in layers)], fontsize="small")
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set_ylim(-0.5, 1.05)
    axes.set_xlabel("randomised down to")
    axes.set_ylabel("rank correlation with the trained network's map")
    axes.set_title(f"Sanity of the maps, {result['n']} scenes with arcs", fontsize="medium")
    axes.legend(frameon=False, fontsize="small")
    return figure


def removal_chart(shares: np.ndarray, curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Chart of the mean logit as pixels are replaced by sky, at shares (step,); curves: as `measure.measure_removal` takes."""
    figure = Figure(figsize=(9.5, 3.8), dpi=130, layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for k, (axes, order) in enumerate(zip(panels, ("most", "least"), strict=True)):
        for colour, (method, both) in zip(COLOURS, curves.items(), strict=False):
            axes.plot(np.sqrt(shares), both[k].mean(0), color=colour, linewidth=1.2, label=method.replace("_", " "))
        axes.axhline(0, color="black", linewidth=0.6)
        axes.set_xticks(np.sqrt([0, 0.01, 0.05, 0.2, 0.5, 1]), ["0", "1 %", "5 %", "20 %", "50 %", "all"])
        axes.set_xlabel(f"pixels replaced by sky, {order} relevant first")
    panels[0].set_ylabel("mean lens logit")
    panels[1].legend(frameon=False, fontsize="small")
    return figure


def dream_chart(table: pd.DataFrame, result: Mapping) -> Figure:
    """Histograms of the change of the arcs' colour over scenes: a panel for each kind of dream.

    table: `measure.dream_table`; result: network -> `measure.measure_dream`. The lines are the means; the outermost
    bars include larger changes.
    """
    figure = Figure(figsize=(4.75 * len(result), 3.6), dpi=130, layout="constrained")
    panels = figure.subplots(1, len(result), squeeze=False)[0]
    for axes, (network, ways) in zip(panels, result.items(), strict=True):
        rows = table[table["network"] == network]
        changes = {way: rows.loc[rows["way"] == way, "colour_change"].dropna() for way in ways if way != "between_ways"}
        # Each network on its own axis: random weights hardly change an image.
        edge = max((float(np.percentile(np.abs(v), 95)) for v in changes.values() if len(v)), default=0.0) or 0.01
        for colour, (way, values) in zip(WAY_COLOURS, changes.items(), strict=True):
            if not len(values):
                continue
            mean = ways[way]["arc_vis_minus_h_change"]
            label = f"{way.replace('_', ' ')}: {mean['value']:+.4f} [{mean['low']:+.4f}, {mean['high']:+.4f}]"
            bins = np.linspace(-edge, edge, 41)
            axes.hist(
                np.clip(values, -edge, edge), bins=bins, histtype="stepfilled", alpha=0.35, color=colour, label=label
            )
            axes.axvline(mean["value"], ymax=0.74, color=colour, linewidth=1.2)
        axes.axvline(0, ymax=0.74, color="black", linewidth=0.6)
        axes.set_xlabel("change of VIS - H in the arcs [mag], bluer to the left")
        axes.set_title(network.replace("_", " "), fontsize="medium")
        axes.set_ylim(top=1.35 * axes.get_ylim()[1])
        axes.legend(frameon=False, fontsize="small", loc="upper left")
    panels[0].set_ylabel("scenes")
    return figure
