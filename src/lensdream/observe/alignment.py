"""VIS against the near infrared: whether a cutout's VIS image was filled up on the wrong side.

Where a cutout reaches over the border of the VIS mosaic, the missing columns or rows are filled with zeros. Some public
Euclid Q1 cutouts have them on the wrong side: the image has slid by as many pixels, and VIS and the near infrared show
two different places (26 and 6 pixels in one of eight files looked at, 1 pixel in another). The strips of zeros say by
how much; whether, is decided by which place agrees better with the near infrared.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from lensdream.observe.bands import BandPlanes

SMOOTHING = 2.0
"""width that takes VIS to the sharpness of the near infrared [pixel of 0.1 arcsec]"""
LEAST_LEFT = 0.5
"""share of the image that must be left for the rest to be compared"""
LARGEST = 2000
"""side beyond which an image is a mosaic and not a cutout [pixel]"""


def displacement(vis: BandPlanes, others: Sequence[BandPlanes]) -> tuple[int, int]:
    """Pixels (y, x) by which the content of VIS has to move to lie where its header says; (0, 0) nearly always.

    Compared with the first of `others` on the same pixels; without one, or without strips of zeros along one edge of
    an axis, there is nothing to decide.
    """
    height, width = vis.flux.shape
    alike = [band for band in others if band.flux.shape == vis.flux.shape and band.scale == vis.scale]
    edges = [vis.flux.window(slice(y, y + 1), slice(0, width)) for y in (0, height - 1)]
    # Strips of rows and of columns both show in the first or last row; nearly every file ends here.
    if not alike or max(height, width) > LARGEST or all(edge.all() for edge in edges):
        return 0, 0
    whole = slice(0, height), slice(0, width)
    picture = vis.flux.window(*whole)
    filled = np.nan_to_num(picture, posinf=0.0, neginf=0.0) != 0
    move = _one_sided(filled.any(axis=1)), _one_sided(filled.any(axis=0))
    if move == (0, 0):
        return 0, 0
    if (1 - abs(move[0]) / height) * (1 - abs(move[1]) / width) < LEAST_LEFT:
        return 0, 0
    smooth = ndimage.gaussian_filter(_compressed(picture), SMOOTHING)
    other = _compressed(alike[0].flux.window(*whole))
    return move if _agreement(smooth, other, move) > _agreement(smooth, other, (0, 0)) else (0, 0)


def _one_sided(filled: np.ndarray) -> int:
    """Move that brings an empty strip from one end to the other; 0 without one or with strips at both ends."""
    if not filled.any():
        return 0
    low, high = int(filled.argmax()), int(filled[::-1].argmax())
    return high - low if low == 0 or high == 0 else 0


def _compressed(picture: np.ndarray) -> np.ndarray:
    """Shape of the light with its peaks cut down, sky at 0."""
    light = np.nan_to_num(picture.astype(float), posinf=0.0, neginf=0.0)
    seen = light[light != 0]
    if not seen.size:
        return light
    sky = np.median(seen)
    scatter = np.median(np.abs(seen - sky)) or 1.0
    return np.where(light != 0, np.arcsinh((light - sky) / (5 * scatter)), 0.0)


def _agreement(picture: np.ndarray, other: np.ndarray, move: tuple[int, int]) -> float:
    """Sum of products of `other` and `picture` after it moved."""
    into = tuple(slice(max(m, 0), n + min(m, 0)) for m, n in zip(move, picture.shape, strict=True))
    out_of = tuple(slice(max(-m, 0), n + min(-m, 0)) for m, n in zip(move, picture.shape, strict=True))
    return float((picture[out_of] * other[into]).sum())
