"""Distance ratios of lensing, from a table of comoving distances."""

from __future__ import annotations

from functools import cache

import numpy as np
from astropy.cosmology import FlatLambdaCDM
from scipy.interpolate import CubicSpline

COSMOLOGY = FlatLambdaCDM(H0=70, Om0=0.3)


@cache
def _comoving_distance() -> CubicSpline:
    z = np.linspace(0, 6, 6001)
    return CubicSpline(z, COSMOLOGY.comoving_distance(z).value)


def distance_ratio(z_lens: np.ndarray, z_source: np.ndarray) -> np.ndarray:
    """D_ls / D_s of angular diameter distances in the flat cosmology: 1 - chi_l / chi_s; 0 for a source in front."""
    chi = _comoving_distance()
    return np.maximum(1 - chi(z_lens) / chi(z_source), 0.0)
