"""Figures of drawn lenses beside the forecast for Euclid, and of drawn galaxies beside published counts."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

from lensdream.population.forecast import FORECAST, PERCENTILES, Quantity, compare, counts_per_magnitude, drawn
from lensdream.scene import Scenes

FORECAST_COLOR, DRAWN_COLOR = "#d95f02", "#4477aa"


def forecast_figure(scenes: Scenes) -> Figure:
    """Histogram of every quantity, with its percentiles and those of the forecast."""
    table, comparison = drawn(scenes), compare(scenes)
    page = Figure(figsize=(15, 6.4), layout="constrained", dpi=110)
    page.get_layout_engine().set(wspace=0.06, hspace=0.06)
    for quantity, axes in zip(FORECAST, page.subplots(2, 5).flat, strict=True):
        _panel(axes, quantity, table[quantity.name].to_numpy(), comparison.loc[quantity.name])
    handles, labels = page.axes[0].get_legend_handles_labels()
    page.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
    page.supylabel(f"share of the {len(table):,} detectable lenses drawn", fontsize="medium")
    return page


def _panel(axes: Axes, quantity: Quantity, values: np.ndarray, row: pd.Series) -> None:
    low, high = np.percentile(values, (0.5, 99.5))
    low, high = min(low, 0.9 * quantity.forecast[0]), max(high, quantity.forecast[2])
    bins = np.geomspace(low, high, 33) if quantity.logarithmic else np.linspace(low, high, 33)
    axes.axvspan(
        quantity.forecast[0], quantity.forecast[2], color=FORECAST_COLOR, alpha=0.15, lw=0, label="forecast 16-84 %"
    )
    axes.hist(values, bins, weights=np.full(len(values), 1 / len(values)), color=DRAWN_COLOR, alpha=0.55, label="drawn")
    axes.axvline(quantity.forecast[1], color=FORECAST_COLOR, lw=2, label="forecast median")
    percentiles = [row[f"drawn_{p}"] for p in PERCENTILES]
    for k, (value, style) in enumerate(zip(percentiles, (":", "-", ":"), strict=True)):
        axes.axvline(value, color="#1b3a5c", lw=1.3, ls=style, label="drawn 16, 50, 84 %" if k == 1 else None)
    if quantity.logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set(xlim=(low, high), xlabel=quantity.label, yticks=[])
    axes.spines[["top", "right", "left"]].set_visible(False)
    lines = (("drawn", percentiles, DRAWN_COLOR), ("forecast", quantity.forecast, FORECAST_COLOR))
    for height, (name, numbers, color) in zip((1.03, 1.11), lines, strict=True):
        text = "   ".join(f"{number:.{quantity.decimals}f}" for number in numbers)
        axes.text(0.0, height, name, transform=axes.transAxes, color=color, fontsize="small")
        axes.text(1.0, height, text, transform=axes.transAxes, color=color, fontsize="small", ha="right")


def counts_figure(galaxies: pd.DataFrame, sky_area: float) -> Figure:
    """Counts of the catalogue with Poisson errors, and the published law."""
    table = counts_per_magnitude(galaxies, sky_area)
    page = Figure(figsize=(5.5, 4), layout="constrained", dpi=110)
    axes = page.subplots()
    error = table["drawn"] / np.sqrt(np.maximum(table["galaxies"], 1))
    axes.plot(table["magnitude"], table["published"], color=FORECAST_COLOR, lw=2, label="published")
    axes.errorbar(table["magnitude"], table["drawn"], error, fmt="o", ms=4, color=DRAWN_COLOR, label="drawn")
    axes.set(yscale="log", xlabel="VIS [AB mag]", ylabel=r"galaxies [arcmin$^{-2}$ mag$^{-1}$]")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left")
    return page
