"""Catalogues of galaxies and deflectors, drawn by SkyPy once and in one process; every scene takes galaxies from them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from importlib import resources

import numpy as np
import pandas as pd
from astropy import units
from skypy.pipeline import Pipeline

from lensdream.instrument import AB_ZERO_POINT_MICROJANSKY, Band, microjansky
from lensdream.optics.cosmology import COSMOLOGY
from lensdream.population.galaxy import TILT
from lensdream.population.number_counts import chance_to_keep
from lensdream.scene import FLUX_COLUMNS

SHARES = {"train": 0.68, "validation": 0.08, "test": 0.12, "compound": 0.12}
"""share of each catalogue that a split may use, so that no galaxy is in two splits"""
SMALLEST_AXIS_RATIO = 0.15
SMALLEST_SIZE = 0.03
"""half-light radius [arcsec], a fifth of the point spread; the renderer's samples hold the light of larger galaxies"""
OVERDRAW = 3.3
"""sky that SkyPy fills over the sky asked for: it has so many times fewer galaxies than published at VIS 27, z = 1"""


CatalogRow = dict[str, float]
"""a row of a catalogue"""


@dataclass(frozen=True)
class Catalogs:
    """Galaxies and deflectors: z, M, r_e [arcsec], q, flux_<BAND> [microjansky], red (galaxies), sigma (deflectors)."""

    galaxies: pd.DataFrame
    deflectors: pd.DataFrame
    sky_area: float
    """sky that the galaxies fill [arcmin^2]"""

    def split(self, name: str) -> Catalogs:
        """Part of the catalogues that belongs to a split; parts of different splits are disjoint."""
        first = sum(share for key, share in list(SHARES.items())[: list(SHARES).index(name)])

        def part(table: pd.DataFrame) -> pd.DataFrame:
            a, b = (round(fraction * len(table)) for fraction in (first, first + SHARES[name]))
            return table.iloc[a:b].reset_index(drop=True)

        return Catalogs(part(self.galaxies), part(self.deflectors), self.sky_area * SHARES[name])

    # one row of a data frame costs more than drawing the galaxy: rows come from plain columns
    @cached_property
    def _galaxy_columns(self) -> dict[str, np.ndarray]:
        return {name: self.galaxies[name].to_numpy() for name in self.galaxies}

    @cached_property
    def _deflector_columns(self) -> dict[str, np.ndarray]:
        return {name: self.deflectors[name].to_numpy() for name in self.deflectors}

    def galaxy(self, k: int) -> CatalogRow:
        """The k-th galaxy."""
        return {name: column[k] for name, column in self._galaxy_columns.items()}

    def deflector(self, k: int) -> CatalogRow:
        """The k-th deflector."""
        return {name: column[k] for name, column in self._deflector_columns.items()}

    @cached_property
    def _by_flux(self) -> dict[bool | None, tuple[np.ndarray, np.ndarray]]:
        """Rows and VIS fluxes of the red, the blue and all galaxies, faintest first."""
        flux, red = self._galaxy_columns["flux_VIS"], self._galaxy_columns["red"]
        order = np.argsort(flux, kind="stable")
        chosen = {None: order, True: order[red[order]], False: order[~red[order]]}
        return {color: (numbers, flux[numbers]) for color, numbers in chosen.items()}

    def brighter(self, flux: float) -> np.ndarray:
        """Rows of the galaxies above a VIS flux [microjansky]."""
        numbers, fluxes = self._by_flux[None]
        return numbers[np.searchsorted(fluxes, flux, "right") :]

    def near_flux(self, flux: float, n: int, red: bool | None = None) -> np.ndarray:
        """Rows of n galaxies, red, blue or any, around a VIS flux [microjansky]: half fainter, half brighter."""
        numbers, fluxes = self._by_flux[red]
        first = np.clip(np.searchsorted(fluxes, flux) - n // 2, 0, max(len(fluxes) - n, 0))
        return numbers[first : first + n]


def draw_catalogs(seed: int, sky_area: float, magnitude_limit: float, n_deflectors: int) -> Catalogs:
    """Run SkyPy's pipeline of `galaxies.yml` and thin its galaxies to the observed counts (`number_counts`).

    sky_area [deg2]; galaxies fainter than magnitude_limit in VIS are left out. SkyPy's luminosity functions were measured
    up to z = 1; beyond, they make too many bright galaxies. SkyPy draws from numpy's global state, so that is seeded here,
    and nothing else may draw from it meanwhile.
    """
    with resources.as_file(resources.files("lensdream.population") / "galaxies.yml") as path:
        pipeline = Pipeline.read(str(path))
    np.random.seed(seed)  # noqa: NPY002 - SkyPy knows no other
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # astropy's deprecations inside SkyPy
        pipeline.execute(
            parameters={
                "sky_area": OVERDRAW * sky_area * units.deg**2,
                "magnitude_limit": magnitude_limit + 1.0,  # SkyPy cuts in B at rest; one magnitude covers the colours
                "n_deflectors": n_deflectors,
            }
        )
    blue, red, deflectors = (_table(pipeline[name]) for name in ("blue", "red", "deflectors"))
    # late types at a luminosity shrink as in Collett 2015, early types as in van der Wel et al. 2014, ApJ 788, 28
    blue["r_e"] = _angular_size(pipeline["blue"]["size"], blue["z"], -1.2)
    red["r_e"] = _angular_size(pipeline["red"]["size"], red["z"], -1.48)
    # a deflector is drawn by its velocity dispersion, at which sizes evolve less than at a mass or a luminosity
    deflectors["r_e"] = _angular_size(pipeline["deflectors"]["size"], deflectors["z"], -0.65)
    blue["q"], deflectors["q"] = (np.asarray(pipeline[name]["q"]) for name in ("blue", "deflectors"))
    e = np.asarray(pipeline["red"]["ellipticity"])
    red["q"] = np.maximum((1 - e) / (1 + e), SMALLEST_AXIS_RATIO)
    deflectors["sigma"] = np.asarray(pipeline["deflectors"]["sigma"])
    _blue_tilt(blue)
    galaxies = pd.concat([blue.assign(red=False), red.assign(red=True)], ignore_index=True)
    galaxies["r_e"] = np.maximum(galaxies["r_e"], SMALLEST_SIZE)
    galaxies = galaxies[galaxies["flux_VIS"] > microjansky(magnitude_limit)]
    chance = chance_to_keep(_magnitude(galaxies), galaxies["z"].to_numpy(), sky_area * 3600.0)
    galaxies = galaxies[np.random.uniform(size=len(galaxies)) < chance]  # noqa: NPY002 - SkyPy's state
    galaxies = galaxies.sample(frac=1.0, random_state=seed).reset_index(drop=True)
    return Catalogs(galaxies, deflectors, sky_area * 3600.0)


def _table(drawn: object) -> pd.DataFrame:
    table = pd.DataFrame({"z": np.asarray(drawn["z"]), "M": np.asarray(drawn["M"])})
    for band, column in zip(Band, FLUX_COLUMNS, strict=True):
        table[column] = microjansky(np.asarray(drawn[f"mag_{band.name}"]))
    return table


def _blue_tilt(blue: pd.DataFrame) -> None:
    """Make faint blue galaxies bluer, in place, and scatter their colours.

    SkyPy's SED coefficients are those of galaxies brighter and nearer than most here, and give VIS - H a median of 1.4 at
    any magnitude; field galaxies of Euclid Q1 mosaics have a median of 1.1 at VIS 20 to 24 and of 0.7 at 24 to 26.5, with a
    scatter of 0.6.
    """
    mean = np.clip(0.45 + 0.2 * (_magnitude(blue) - 24.0), 0.0, 0.95)
    tilt = mean + 0.3 * np.random.standard_normal(len(blue))  # noqa: NPY002 - SkyPy's state
    for column, share in zip(FLUX_COLUMNS, TILT, strict=True):
        blue[column] *= 10 ** (-0.4 * share * tilt)


def _magnitude(table: pd.DataFrame) -> np.ndarray:
    return AB_ZERO_POINT_MICROJANSKY - 2.5 * np.log10(table["flux_VIS"].to_numpy())


def _angular_size(size_kpc: object, z: pd.Series, evolution: float) -> np.ndarray:
    """Half-light radius [arcsec] of a size [kpc] at z = 0 that evolves as (1 + z)^evolution."""
    arcsec_per_kpc = COSMOLOGY.arcsec_per_kpc_proper(z.to_numpy()).value
    return np.asarray(getattr(size_kpc, "value", size_kpc)) * (1 + z.to_numpy()) ** evolution * arcsec_per_kpc
