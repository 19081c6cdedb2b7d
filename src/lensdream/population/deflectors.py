"""Deflectors from a velocity-dispersion function, for SkyPy's pipeline: random numbers are from numpy's global state."""

from __future__ import annotations

import numpy as np
from astropy.cosmology import FLRW

SIGMA_STAR = 161.0
ALPHA, BETA = 2.32, 2.67
"""dn/dsigma = phi* (sigma/sigma*)^alpha exp(-(sigma/sigma*)^beta) / sigma (Choi et al. 2007), the same at every redshift:
so Collett 2015 (ApJ 811, 20). LensPop's base class has a factor (1 + z)^-2.5, but the class that is run overrides it"""
SIGMA_RANGE = (100.0, 400.0)
REDSHIFT_RANGE = (0.05, 2.0)


def draw_deflectors(n: int, cosmology: FLRW) -> tuple[np.ndarray, np.ndarray]:
    """Redshifts and velocity dispersions [km/s] of n deflectors, drawn in proportion to their lensing cross-section.

    The cross-section pi theta_E^2 is proportional to sigma^4; its dependence on distances is left to the pairing.
    """
    z = np.linspace(*REDSHIFT_RANGE, 400)
    volume = cosmology.differential_comoving_volume(z).value
    sigma = np.linspace(*SIGMA_RANGE, 600)
    s = sigma / SIGMA_STAR
    density = s**ALPHA * np.exp(-(s**BETA)) / sigma * sigma**4
    return _draw(z, volume, n), _draw(sigma, density, n)


def _draw(grid: np.ndarray, density: np.ndarray, n: int) -> np.ndarray:
    cumulative = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(grid))])
    return np.interp(np.random.uniform(0, cumulative[-1], n), cumulative, grid)  # noqa: NPY002 - SkyPy's state


def axis_ratio(sigma: np.ndarray) -> np.ndarray:
    """Axis ratio of the mass: 1 - q is Rayleigh of scale 0.378 - 0.000572 sigma [km/s], q > 0.2 (Collett 2015)."""
    return rayleigh_axis_ratio(0.378 - 0.000572 * sigma, 0.2)


def rayleigh_axis_ratio(scale: np.ndarray, smallest: float) -> np.ndarray:
    """Axis ratios q in (smallest, 1] whose flattening 1 - q is Rayleigh of a scale, cut off (not clipped) at smallest."""
    within = 1 - np.exp(-((1 - smallest) ** 2) / (2 * scale**2))
    share = within * np.random.uniform(size=np.shape(scale))  # noqa: NPY002 - SkyPy's state
    return 1 - scale * np.sqrt(-2 * np.log1p(-share))


def absolute_magnitude(sigma: np.ndarray) -> np.ndarray:
    """Absolute r magnitude of early types of velocity dispersion sigma [km/s] (Hyde & Bernardi 2009, MNRAS 394, 1978).

    Their log sigma = -2.97 - 0.37 M_r - 0.006 M_r^2 turned round, with a scatter of 0.3 mag.
    """
    log_sigma = np.log10(sigma)
    mean = (-0.37 + np.sqrt(np.maximum(0.37**2 - 4 * 0.006 * (2.97 + log_sigma), 0.0))) / (2 * 0.006)
    return mean + 0.3 * np.random.standard_normal(len(sigma))  # noqa: NPY002 - SkyPy's state


def physical_size(sigma: np.ndarray) -> np.ndarray:
    """Half-light radius [kpc]: log R = 2.46 - 2.79 log sigma + 0.84 (log sigma)^2 (Hyde & Bernardi 2009), 0.11 dex."""
    log_sigma = np.log10(sigma)
    mean = 2.46 - 2.79 * log_sigma + 0.84 * log_sigma**2
    return 10 ** (mean + 0.11 * np.random.standard_normal(len(sigma)))  # noqa: NPY002 - SkyPy's state


def velocity_dispersion_of_source(absolute_magnitude_b: float, early_type: bool) -> float:
    """Velocity dispersion [km/s] of a source galaxy from its B magnitude: Faber & Jackson 1976, L proportional to sigma^4.

    200 km/s at M_B = -20.5 for early types; a late type of that light has a rotation of some 190 km/s, which bends light
    like an isothermal sphere of 190 / sqrt(2) km/s.
    """
    return (200.0 if early_type else 135.0) * 10 ** (-0.1 * (absolute_magnitude_b + 20.5))
