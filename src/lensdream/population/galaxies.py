"""SkyPy draws the galaxies, once, in one process: pools that scenes pick from."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from importlib import resources

import numpy as np
import pandas as pd
from astropy import units
from astropy.cosmology import FlatLambdaCDM
from skypy.pipeline import Pipeline

from lensdream.scene import FLUX_COLUMNS
from lensdream.survey import Band, microjansky

COSMOLOGY = FlatLambdaCDM(H0=70, Om0=0.3)
SHARES = {"train": 0.68, "validation": 0.08, "test": 0.12, "compound": 0.12}
"""share of each pool that a split may use, so that no galaxy is in two splits"""
SMALLEST_AXIS_RATIO = 0.15


@dataclass(frozen=True)
class Pools:
    """Galaxies and deflectors; columns z, M, r_e [arcsec], q, flux_<BAND> [microjansky], red (galaxies), sigma (deflectors)."""

    galaxies: pd.DataFrame
    deflectors: pd.DataFrame
    sky_area: float
    """that the galaxies fill [arcmin^2]"""

    def split(self, name: str) -> Pools:
        """The part of the pools that belongs to a split; parts of different splits are disjoint."""
        first = sum(share for key, share in list(SHARES.items())[: list(SHARES).index(name)])

        def part(table: pd.DataFrame) -> pd.DataFrame:
            a, b = (round(fraction * len(table)) for fraction in (first, first + SHARES[name]))
            return table.iloc[a:b].reset_index(drop=True)

        return Pools(part(self.galaxies), part(self.deflectors), self.sky_area * SHARES[name])


def draw_pools(seed: int, sky_area: float, magnitude_limit: float, n_deflectors: int) -> Pools:
    """Run SkyPy's pipeline of `galaxies.yml`.

    sky_area [deg2]; galaxies fainter than magnitude_limit in VIS are left out. SkyPy draws from numpy's global state, so
    that is seeded here, and nothing else may draw from it meanwhile.
    """
    with resources.as_file(resources.files("lensdream.population") / "galaxies.yml") as path:
        pipeline = Pipeline.read(str(path))
    np.random.seed(seed)  # noqa: NPY002 - SkyPy knows no other
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # astropy's deprecations inside SkyPy
        pipeline.execute(
            parameters={
                "sky_area": sky_area * units.deg**2,
                "magnitude_limit": magnitude_limit + 1.0,  # SkyPy cuts in B at rest; one magnitude covers the colours
                "n_deflectors": n_deflectors,
            }
        )
    blue, red = (_table(pipeline[name]) for name in ("blue", "red"))
    # sizes shrink with redshift as the median of late and early types: van der Wel et al. 2014, ApJ 788, 28
    blue["r_e"] = _angular_size(pipeline["blue"]["size"], blue["z"], -0.75)
    red["r_e"] = _angular_size(pipeline["red"]["size"], red["z"], -1.48)
    for table, name in ((blue, "blue"), (red, "red")):
        e = np.asarray(pipeline[name]["ellipticity"])
        table["q"] = np.maximum((1 - e) / (1 + e), SMALLEST_AXIS_RATIO)
    _blue_tilt(blue)
    galaxies = pd.concat([blue.assign(red=False), red.assign(red=True)], ignore_index=True)
    galaxies = galaxies[galaxies["flux_VIS"] > microjansky(magnitude_limit)]
    galaxies = galaxies.sample(frac=1.0, random_state=seed).reset_index(drop=True)
    deflectors = _table(pipeline["deflectors"])
    deflectors["sigma"] = np.asarray(pipeline["deflectors"]["sigma"])
    deflectors["r_e"] = _angular_size(pipeline["deflectors"]["size"], deflectors["z"], 0.0)
    # flattening of the mass: 1 - q is Rayleigh with this scale, 0.2 < q < 1 (Collett 2015)
    scale = 0.378 - 0.000572 * deflectors["sigma"]
    deflectors["q"] = np.clip(1 - np.random.rayleigh(scale), 0.2, 0.99)  # noqa: NPY002
    return Pools(galaxies, deflectors, sky_area * 3600.0)


def _table(drawn: object) -> pd.DataFrame:
    table = pd.DataFrame({"z": np.asarray(drawn["z"]), "M": np.asarray(drawn["M"])})
    for band, column in zip(Band, FLUX_COLUMNS, strict=True):
        table[column] = microjansky(np.asarray(drawn[f"mag_{band.name}"]))
    return table


def _blue_tilt(blue: pd.DataFrame) -> None:
    """Make blue galaxies bluer with redshift, in place, and scatter their colours.

    SkyPy's SED coefficients are extrapolated beyond z = 1, where VIS - H comes out at 1.4; field galaxies of Euclid Q1
    mosaics have a median of 1.1 at VIS 20 to 24 and of 0.7 at 24 to 26.5, with a scatter of 0.6.
    """
    mean = 0.65 * np.minimum(blue["z"] / 1.5, 1.0)
    tilt = mean + 0.4 * np.random.standard_normal(len(blue))  # noqa: NPY002 - SkyPy's state
    for column, share in zip(FLUX_COLUMNS, (0.0, 0.4, 0.7, 1.0), strict=True):
        blue[column] *= 10 ** (-0.4 * share * tilt)


def _angular_size(size_kpc: object, z: pd.Series, evolution: float) -> np.ndarray:
    """Half-light radius [arcsec] of a size [kpc] at z = 0 that evolves as (1 + z)^evolution."""
    arcsec_per_kpc = COSMOLOGY.arcsec_per_kpc_proper(z.to_numpy()).value
    return np.asarray(getattr(size_kpc, "value", size_kpc)) * (1 + z.to_numpy()) ** evolution * arcsec_per_kpc
