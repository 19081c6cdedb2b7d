"""Bad pixels in the core of an object, filled in: left dark, they turn a galaxy into a bright ring, a lens."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.interpolate import RBFInterpolator

from lensdream.instrument import EUCLID

RADIUS = 0.5
"""[arcsec]; holes farther out do no harm"""
MOST_FILLED = 25
"""bad VIS pixels, 5 x 5, up to which filling in a core changed no galaxy into a lens and no lens into a non-lens in tests; in
the near infrared all 80 pixels of a core did neither"""
RIM = 2
"""width of the rim of good pixels around a hole from which it is filled in [pixel]"""


def filled_in(pixels: np.ndarray, share: np.ndarray, softening: float) -> tuple[np.ndarray, int]:
    """Fill in the core's pixels without data; returns the image and how many of the core's pixels are bad at all.

    pixels: (y, x) [microjansky a pixel], 0 without data; share: (y, x) of each pixel that has data; softening: scatter of the
    sky [microjansky a pixel]. The filling is a smooth surface through the good pixels around (a polyharmonic spline), in
    asinh of the flux, where the steep light of a galaxy goes on to its peak. Without enough of those pixels the hole stays.
    """
    y, x = (np.indices(pixels.shape) - (pixels.shape[0] - 1) / 2) * EUCLID.pixel_scale
    core = np.hypot(y, x) < RADIUS
    holes, n_bad = core & (share <= 0.5), int((core & (share < 0.999)).sum())
    around = ndimage.binary_dilation(holes, np.ones((3, 3)), RIM) & (share > 0.5)
    if not holes.any():
        return pixels, n_bad
    try:
        surface = RBFInterpolator(np.argwhere(around), np.arcsinh(pixels[around] / softening), kernel="cubic")
    except (ValueError, np.linalg.LinAlgError):  # fewer than three, or all on one line
        return pixels, n_bad
    whole = pixels.copy()
    whole[holes] = softening * np.sinh(surface(np.argwhere(holes)))
    return whole, n_bad
