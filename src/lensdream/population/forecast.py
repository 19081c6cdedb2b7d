"""Comparison of drawn lenses with the forecast for Euclid, and of drawn galaxies with published counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lensdream.families import LENS
from lensdream.instrument import AB_ZERO_POINT_MICROJANSKY
from lensdream.population.number_counts import cumulative_counts
from lensdream.scene import Role, Scenes

PERCENTILES = (16, 50, 84)
GOAL_RELATIVE = (0.20, 0.10, 0.20)
GOAL_MAGNITUDES = (0.50, 0.25, 0.50)
"""how far a drawn percentile may lie from the forecast's: a share of it, or [mag]"""
COUNTS_BINS = np.arange(18.0, 26.01, 0.5)


@dataclass(frozen=True)
class Quantity:
    """One property of the forecast's lenses."""

    name: str
    label: str
    forecast: tuple[float, float, float]
    """percentiles 16, 50 and 84"""
    magnitude: bool = False
    """compared by difference, not by ratio"""
    logarithmic: bool = False
    """histogram over the logarithm"""
    decimals: int = 2
    """number of decimals in the table"""

    @property
    def goal(self) -> np.ndarray:
        """Largest deviation allowed of the drawn percentiles."""
        return np.array(GOAL_MAGNITUDES if self.magnitude else GOAL_RELATIVE)


FORECAST = (
    Quantity("z_lens", "redshift of the lens", (0.36, 0.64, 1.08)),
    Quantity("z_source", "redshift of the source", (1.10, 1.82, 2.79)),
    Quantity("theta_E", "Einstein radius [arcsec]", (0.37, 0.65, 1.11), logarithmic=True),
    Quantity("sigma", "velocity dispersion [km/s]", (172.0, 220.0, 272.0), decimals=0),
    Quantity("q", "axis ratio of the mass", (0.52, 0.71, 0.85)),
    Quantity("lens_VIS", "lens [VIS mag]", (18.6, 20.9, 23.6), magnitude=True, decimals=1),
    Quantity("source_VIS", "source, unlensed [VIS mag]", (24.4, 25.5, 26.7), magnitude=True, decimals=1),
    Quantity("lensed_VIS", "source, lensed [VIS mag]", (22.7, 23.7, 24.4), magnitude=True, decimals=1),
    Quantity("source_r_e", "half-light radius of the source [arcsec]", (0.04, 0.11, 0.27), logarithmic=True),
    Quantity("magnification", "magnification", (3.5, 5.4, 11.0), logarithmic=True, decimals=1),
)
"""Percentiles of the 15,999 lenses of `lenses_Euclid.txt` in github.com/tcollett/LensPop (Collett 2015, ApJ 811, 20): those
with S/N > 20, magnification > 3 and images apart in the VIS band of Euclid."""


def drawn(scenes: Scenes) -> pd.DataFrame:
    """Table of the forecast's quantities for the detectable lenses drawn (family `lens`, label 1), one row a lens.

    A magnitude is of the summed components; the source's radius is that of its first one, the disc.
    """
    table = scenes.scenes[(scenes.scenes["family"] == LENS) & (scenes.scenes["label"] == 1)]
    if table.empty:
        raise ValueError("no scene of family `lens` with label 1: draw the population with lens_fraction above 0")
    source = _magnitude(scenes, Role.SOURCE_1, table["index"])
    first = scenes.components[scenes.components["role"] == Role.SOURCE_1].groupby("scene")["r_e"].first()
    magnification = table["magnification_1"].to_numpy()
    return pd.DataFrame({
        "z_lens": table["z_lens"].to_numpy(),
        "z_source": table["z_source_1"].to_numpy(),
        "theta_E": table["theta_E_1"].to_numpy(),
        "sigma": table["sigma_lens"].to_numpy(),
        "q": table["mass_q"].to_numpy(),
        "lens_VIS": _magnitude(scenes, Role.TARGET, table["index"]),
        "source_VIS": source,
        "lensed_VIS": source - 2.5 * np.log10(magnification),
        "source_r_e": first.reindex(table["index"]).to_numpy(),
        "magnification": magnification,
    })  # fmt: skip


def compare(scenes: Scenes) -> pd.DataFrame:
    """Percentiles 16, 50, 84 of each quantity, forecast and drawn, and whether all three are within the goal.

    `off_<percentile>` is drawn - forecast [mag] of magnitudes, drawn / forecast - 1 of the rest.
    """
    table = drawn(scenes)
    rows = {}
    for quantity in FORECAST:
        forecast, percentiles = np.array(quantity.forecast), np.percentile(table[quantity.name], PERCENTILES)
        off = percentiles - forecast if quantity.magnitude else percentiles / forecast - 1
        row = {f"forecast_{p}": value for p, value in zip(PERCENTILES, forecast, strict=True)}
        row |= {f"drawn_{p}": value for p, value in zip(PERCENTILES, percentiles, strict=True)}
        row |= {f"off_{p}": value for p, value in zip(PERCENTILES, off, strict=True)}
        rows[quantity.name] = row | {"within": bool((np.abs(off) <= quantity.goal).all())}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("quantity")


def counts_per_magnitude(galaxies: pd.DataFrame, sky_area: float) -> pd.DataFrame:
    """VIS counts [arcmin^-2 mag^-1] of a catalogue's galaxies on sky_area [arcmin^2], drawn and published, 18 to 26.

    Published: `counts.cumulative_counts`, the law that the catalogue is thinned to; `galaxies` is the number drawn.
    """
    low, high = COUNTS_BINS[:-1], COUNTS_BINS[1:]
    magnitude = AB_ZERO_POINT_MICROJANSKY - 2.5 * np.log10(galaxies["flux_VIS"].to_numpy())
    number = np.histogram(magnitude, COUNTS_BINS)[0]
    return pd.DataFrame({
        "magnitude": (low + high) / 2,
        "galaxies": number,
        "drawn": number / sky_area / (high - low),
        "published": (cumulative_counts(high) - cumulative_counts(low)) / (high - low),
    })  # fmt: skip


def _magnitude(scenes: Scenes, role: Role, index: pd.Series) -> np.ndarray:
    """VIS magnitude before lensing of the components of a role, one value a scene of an index."""
    own = scenes.components[scenes.components["role"] == role]
    flux = own.groupby("scene")["flux_VIS"].sum().reindex(index).to_numpy()
    return AB_ZERO_POINT_MICROJANSKY - 2.5 * np.log10(flux)
