"""Magnitudes of the five kcorrect templates, from a table over redshift: SkyPy's values in a hundredth of its time.

SkyPy's own `mag_ab` folds each template with each filter at a thousand redshifts whenever it is called. Here that is done
once a process, on a finer grid in redshift, and interpolated a galaxy at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from astropy import constants
from astropy.cosmology import FLRW
from skypy.galaxies.spectrum import kcorrect
from speclite.filters import load_filters

LARGEST_REDSHIFT = 3.98
"""largest z at which speclite's VIS curve, from 2990 Angstrom on, lies within the templates, from 600.3 on"""
REDSHIFT_STEP = 0.002
"""step of the table, between which maggies are interpolated: an error below 0.0002 mag"""


def apparent_magnitudes(
    coefficients: np.ndarray, redshift: np.ndarray, filters: Sequence[str], stellar_mass: np.ndarray, cosmology: FLRW
) -> np.ndarray:
    """AB magnitudes (galaxy, filter): SkyPy's `kcorrect.apparent_magnitudes`, with the same arguments.

    coefficients: (galaxy, template); filters: speclite's names; stellar_mass [solar masses]: the factor on the templates,
    as `kcorrect.stellar_mass` gives it. Raises `ValueError` for redshifts outside the table.
    """
    redshift = np.asarray(redshift)
    outside = (redshift < 0) | (redshift > LARGEST_REDSHIFT)
    if outside.any():
        raise ValueError(
            f"redshift {redshift[outside][0]:.4g} is not in [0, {LARGEST_REDSHIFT}], where the templates fill the filters: "
            "end z_range in galaxies.yml before it"
        )
    table = template_maggies(tuple(filters))
    below, share = np.divmod(redshift / REDSHIFT_STEP, 1.0)
    below = np.minimum(below.astype(int), len(table) - 2)
    share = (redshift / REDSHIFT_STEP - below)[:, None, None]
    maggies = ((1 - share) * table[below] + share * table[below + 1]) @ np.asarray(coefficients)[:, :, None]
    dimming = cosmology.distmod(redshift).value - 2.5 * np.log10(stellar_mass * (1 + redshift))
    return dimming[:, None] - 2.5 * np.log10(maggies[..., 0])


@lru_cache(maxsize=4)
def template_maggies(filters: tuple[str, ...]) -> np.ndarray:
    """Table (redshift, filter, template) in steps of REDSHIFT_STEP: AB maggies of a template at rest in the shifted filter.

    The integral of f R lambda over that of the AB spectrum, both over the photons of the shifted filter (Blanton et al.
    2003, AJ 125, 2348). The templates' grid is finer than every filter's, so it serves as the grid of the integral.
    """
    wavelength = kcorrect.wavelength.to_value("Angstrom").astype(float)
    photons = kcorrect.templates.value.astype(float) * wavelength * np.gradient(wavelength)
    z = np.arange(0.0, LARGEST_REDSHIFT + 2 * REDSHIFT_STEP, REDSHIFT_STEP)
    table = np.empty((len(z), len(filters), len(photons)))
    jansky_3631 = 3631e-23 * constants.c.to_value("Angstrom / s")  # f_lambda of AB 0 is this over lambda^2
    for k, curve in enumerate(load_filters(*filters)):
        edge, response = curve.wavelength, curve.response
        ab = jansky_3631 * np.trapezoid(response / edge, edge)
        for row, shift in zip(table[:, k], 1 + z, strict=True):
            inside = slice(*np.searchsorted(wavelength, (edge[0] / shift, edge[-1] / shift)))
            row[:] = photons[:, inside] @ np.interp(wavelength[inside] * shift, edge, response) / ab
    return table
