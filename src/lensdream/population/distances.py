"""Distance ratios of lensing, from a table of comoving distances."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from lensdream.population.galaxies import COSMOLOGY


@lru_cache(maxsize=1)
def _table() -> tuple[np.ndarray, np.ndarray]:
    z = np.linspace(0, 6, 6001)
    return z, COSMOLOGY.comoving_distance(z).value


def distance_ratio(z_lens: np.ndarray, z_source: np.ndarray) -> np.ndarray:
    """D_ls / D_s of angular diameter distances in the flat cosmology: 1 - chi_l / chi_s; 0 for a source in front."""
    z, chi = _table()
    return np.maximum(1 - np.interp(z_lens, z, chi) / np.interp(z_source, z, chi), 0.0)
