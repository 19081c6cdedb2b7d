"""Colour pictures of four-band images, all on one fixed scale.

The scale is fixed in units of the survey's sky scatter and never taken from the image: equal
brightness and colour give equal pictures, a faint image stays faint, and one hot pixel cannot darken the rest.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from lensdream.instrument import EUCLID, Band

# Chosen by eye on Euclid Q1 cutouts: an elliptical at redshift 0.6 comes out a warm white, arcs around it blue.
GAIN_RED, GAIN_GREEN, GAIN_BLUE = 0.4, 0.5, 1.2
"""brightness of one sky scatter in each channel"""
FLOOR = -1.0
"""brightness that is drawn black"""
SOFTENING = 3.5
"""brightness above the floor where the response turns from linear to logarithmic"""
CEILING = 300.0
"""brightness above the floor that is drawn white"""
GREY_FLOOR, GREY_SOFTENING, GREY_CEILING = 3.0, 20.0, 1500.0
"""of grey pictures: blackness below the sky, turn from linear to logarithmic, white [sky scatters]"""


def composite(image: np.ndarray) -> np.ndarray:
    """Colour picture of a four-band image: (4, y, x) [microjansky a pixel] -> (y, x, 3) float32 in [0, 1].

    H is red, the mean of Y and J green, VIS blue, each in fixed units of the survey's sky scatter. Half of the picture
    is asinh of each channel, which lets bright centres turn white; half keeps the colour and compresses the mean of
    the channels (Lupton et al. 2004, PASP 116, 133), which keeps galaxies warm and arcs blue. Pixels that are not
    finite are drawn as empty sky. Raises `ValueError` for another shape.
    """
    image = np.asarray(image, np.float32)
    if image.ndim != 3 or image.shape[0] != len(Band):
        raise ValueError(f"an image has the shape ({len(Band)}, y, x), got {image.shape}")
    sky = np.asarray(EUCLID.sky_sigma, np.float32)[:, None, None]
    vis, y, j, h = np.nan_to_num(image / sky, nan=0.0, posinf=0.0, neginf=0.0)
    channels = np.stack([GAIN_RED * h, GAIN_GREEN * (y + j) / 2, GAIN_BLUE * vis], axis=-1)
    channels = np.maximum(channels - FLOOR, 0.0)
    brightness = channels.mean(-1, keepdims=True)
    colour = np.divide(channels, brightness, out=np.ones_like(channels), where=brightness > 0)
    kept = np.minimum(colour * _compressed(brightness), 1.0)
    return np.clip((_compressed(channels) + kept) / 2, 0.0, 1.0).astype(np.float32)


def _compressed(brightness: np.ndarray) -> np.ndarray:
    """Brightness above the floor, by asinh: 0 at the floor, 1 at the ceiling."""
    return np.arcsinh(brightness / SOFTENING) / np.arcsinh(CEILING / SOFTENING)


def grey(image: np.ndarray) -> np.ndarray:
    """Grey picture of VIS alone on one fixed scale: (4, y, x) [microjansky a pixel] -> (y, x, 3) in [0, 1].

    Reaches to brighter light than the colour pictures: without colour, arcs show by their shape alone.
    """
    above = np.maximum(image[Band.VIS] / EUCLID.sky_sigma[Band.VIS] + GREY_FLOOR, 0)
    bright = np.minimum(np.arcsinh(above / GREY_SOFTENING) / np.arcsinh(GREY_CEILING / GREY_SOFTENING), 1)
    return np.repeat(bright[..., None], 3, -1)


def picture(image: np.ndarray) -> np.ndarray:
    """Colour picture of an image (4, y, x) [microjansky a pixel], or the grey one if the image has no near infrared."""
    return composite(image) if np.any(image[Band.Y :]) else grey(image)


def draw(axes: Axes, image: np.ndarray, title: str = "") -> None:
    """Draw the picture of an image (4, y, x) [microjansky a pixel] without ticks, y upwards."""
    axes.imshow(picture(image), origin="lower", interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    if title:
        axes.set_title(title, fontsize="small")
