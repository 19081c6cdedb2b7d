"""Alignment of VIS and the near infrared, by the content of the images and by their coordinates.

Where a cutout reaches over the border of the VIS mosaic, the missing columns or rows are filled with zeros. Some public
Euclid Q1 cutouts have them on the wrong side: the image has slid by as many pixels, and VIS and the near infrared show
two different positions (by 26 and 6 pixels in one of eight files, by 1 pixel in another). The width of the strips is the
possible shift; the better correlation with the near infrared decides whether there is one.

A near-infrared image may be cut out at another position than VIS: the shift is from the world coordinates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from lensdream.cutouts.bands import BandPlanes, world_coordinates

SMOOTHING = 2.0
"""width that takes VIS to the sharpness of the near infrared [pixel of 0.1 arcsec]"""
LEAST_LEFT = 0.5
"""share of the image that must be left for the rest to be compared"""
COORDINATES = (
    "CTYPE1", "CTYPE2", "CUNIT1", "CUNIT2", "CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2", "CDELT1", "CDELT2",
    "CD1_1", "CD1_2", "CD2_1", "CD2_2", "PC1_1", "PC1_2", "PC2_1", "PC2_2", "CROTA2",
)  # fmt: skip
"""cards that place an image on the sky"""
PROBE = 20.0
"""distance over which a band's directions are compared with those of VIS [pixel of VIS]"""
LARGEST_TURN = 0.03
"""[radian] a pixel at the edge of the network's crop"""
FARTHEST = 20_000
"""distance beyond which coordinates are mistakes: the side of a tile of Euclid's mosaics [pixel]"""
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
    return move if _overlap(smooth, other, move) > _overlap(smooth, other, (0, 0)) else (0, 0)


def shift_to_vis(band: BandPlanes, vis: BandPlanes) -> tuple[float, float] | None:
    """Pixels (y, x) by which the content of a band has to move so that VIS's middle lies in its own, by their coordinates.

    (0, 0) for a pixel or less, and without coordinates in both that make sense; None for a band that is rotated or mirrored
    against VIS.
    """
    if vis.flux.shape == band.flux.shape and vis.flux.cards.raw(COORDINATES) == band.flux.cards.raw(COORDINATES):
        return 0, 0  # nearly every file, and astropy takes milliseconds
    middle, own = ((np.array(plane.shape[::-1]) - 1) / 2 for plane in (vis.flux, band.flux))
    try:
        of_vis, of_band = world_coordinates(vis.flux), world_coordinates(band.flux)
        if of_vis is None or of_band is None:
            return 0, 0
        points = middle + PROBE * np.array([[0, 0], [1, 0], [0, 1]])
        positions = of_band.all_world2pix(of_vis.all_pix2world(points, 0), 0)
    except Exception:  # astropy raises what it pleases on cards that make no sense
        return 0, 0
    if not np.abs(positions - own).max() < FARTHEST:  # nor where they are NaN
        return 0, 0
    steps = positions[1:] - positions[0]
    if not np.abs(steps / math.sqrt(abs(np.linalg.det(steps)) or 1.0) - np.eye(2)).max() < LARGEST_TURN:
        return None
    x, y = own - positions[0]
    # Rounded, as a rounding error below a whole number would cost a pixel.
    return (round(y, 3), round(x, 3)) if max(abs(y), abs(x)) > 1 else (0, 0)


def agreement(vis: np.ndarray, other: np.ndarray) -> float:
    """Correlation of the shapes of the light in stamps of VIS and of a near-infrared band; -1 where one is empty."""
    smooth, light = ndimage.gaussian_filter(_compressed(vis), SMOOTHING), _compressed(other)
    scatter = smooth.std() * light.std()
    return float(((smooth - smooth.mean()) * (light - light.mean())).mean() / scatter) if scatter > 0 else -1.0


def _one_sided(filled: np.ndarray) -> int:
    """Move that brings an empty strip from one end to the other; 0 without one or with strips at both ends."""
    if not filled.any():
        return 0
    low, high = int(filled.argmax()), int(filled[::-1].argmax())
    return high - low if low == 0 or high == 0 else 0


def _compressed(picture: np.ndarray) -> np.ndarray:
    """Shape of the light with its peaks cut down, sky at 0."""
    light = np.nan_to_num(picture.astype(float), posinf=0.0, neginf=0.0)
    filled = light[light != 0]
    if not filled.size:
        return light
    sky = np.median(filled)
    scatter = np.median(np.abs(filled - sky)) or 1.0
    return np.where(light != 0, np.arcsinh((light - sky) / (5 * scatter)), 0.0)


def _overlap(picture: np.ndarray, other: np.ndarray, move: tuple[int, int]) -> float:
    """Sum of products of `other` and `picture` after it moved."""
    into = tuple(slice(max(m, 0), n + min(m, 0)) for m, n in zip(move, picture.shape, strict=True))
    out_of = tuple(slice(max(-m, 0), n + min(-m, 0)) for m, n in zip(move, picture.shape, strict=True))
    return float((picture[out_of] * other[into]).sum())
