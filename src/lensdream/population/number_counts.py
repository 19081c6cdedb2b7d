"""Published counts of galaxies by magnitude and redshift; VIS stands for the i band."""

from __future__ import annotations

import numpy as np

MAGNITUDE_BIN, REDSHIFT_BIN = 0.5, 0.2
"""cells in which drawn galaxies are compared with the published ones [mag, 1]"""
SMALLEST_MEDIAN_REDSHIFT = 0.15
"""median redshift of the brightest galaxies, where the straight line of Ilbert et al. would reach 0"""


def cumulative_counts(magnitude: np.ndarray) -> np.ndarray:
    """Galaxies brighter than an i magnitude [arcmin^-2]: LSST Science Book (arXiv:0912.0201), section 3.7."""
    return 46.0 * 10 ** (0.31 * (magnitude - 25.0))


def median_redshift(magnitude: np.ndarray) -> np.ndarray:
    """Median redshift at an i magnitude: 0.66 at 22 to 22.5, 1.06 at 24.5 to 25 (Ilbert et al. 2009, ApJ 690, 1236).

    A straight line through both; LensPop's mock sky has 1.16 at VIS 25.5 and 1.30 at 26.5, the line 1.18 and 1.34.
    """
    return np.maximum(0.66 + 0.16 * (magnitude - 22.25), SMALLEST_MEDIAN_REDSHIFT)


def share_below(redshift: np.ndarray, magnitude: np.ndarray) -> np.ndarray:
    """Share of the galaxies of a magnitude that are nearer than a redshift.

    The integral of z^2 exp(-z / z0), the usual form (LSST Science Book, section 3.7), whose median is 2.674 z0.
    """
    x = redshift / (median_redshift(magnitude) / 2.674)
    return 1.0 - np.exp(-x) * (1.0 + x + x**2 / 2.0)


def chance_to_keep(magnitude: np.ndarray, redshift: np.ndarray, sky_area: float) -> np.ndarray:
    """Probability of keeping each drawn galaxy, so that the kept ones are as many as in a sky of sky_area [arcmin^2].

    In a cell of magnitude and redshift that is the published number over the drawn one; 1 where too few were drawn.
    """
    row, column = (magnitude / MAGNITUDE_BIN).astype(int), (redshift / REDSHIFT_BIN).astype(int)
    drawn = np.zeros((row.max() + 1, column.max() + 1))
    np.add.at(drawn, (row, column), 1.0)
    edges = np.arange(drawn.shape[0] + 1) * MAGNITUDE_BIN
    number = np.diff(cumulative_counts(edges)) * sky_area
    middle = edges[:-1, None] + MAGNITUDE_BIN / 2
    wanted = number[:, None] * np.diff(share_below(np.arange(drawn.shape[1] + 1) * REDSHIFT_BIN, middle), axis=1)
    return np.minimum(wanted[row, column] / drawn[row, column], 1.0)
