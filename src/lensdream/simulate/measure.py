"""What rendering tells about arcs: masks, signal-to-noise, azimuthal coverage, and the detection rule."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lensdream.optics.noise import shot_noise_variance
from lensdream.survey import EUCLID, Band

FULL_RING_DEGREES = 270.0
"""a source that covers at least this much azimuth above 1 sigma a pixel makes a ring"""
AZIMUTH_BINS = 72


def above_sky(flux: Tensor, sky_sigma: Tensor) -> Tensor:
    """Pixels of (B, y, x) above 1 sigma of the sky, sky_sigma (B,) in the same unit."""
    return flux > sky_sigma[:, None, None]


def arc_snr(arc: Tensor, light: Tensor, sky_sigma: Tensor) -> Tensor:
    """Signal-to-noise (B,) of arcs: their flux over the pixels above 1 sigma against sky and shot noise there.

    arc, light: VIS flux of the arc and of everything else, (B, y, x) [microjansky a pixel]. Collett 2015, section 4.1.
    """
    mask = above_sky(arc, sky_sigma)
    electrons = torch.tensor(EUCLID.bands[Band.VIS].electrons_per_microjansky)
    variance = sky_sigma[:, None, None] ** 2 + shot_noise_variance(arc + light, electrons)
    signal, noise = (arc * mask).sum((1, 2)), (variance * mask).sum((1, 2)).sqrt()
    return torch.where(noise > 0, signal / noise, torch.zeros_like(signal))


def azimuth_covered(arc: Tensor, sky_sigma: Tensor, center_x: Tensor, center_y: Tensor, pixel_scale: float) -> Tensor:
    """Degrees of azimuth (B,) around a centre (B,) [arcsec] in which some pixel of the arc is above 1 sigma of the sky."""
    batch, n, _ = arc.shape
    axis = (torch.arange(n, dtype=arc.dtype) - (n - 1) / 2) * pixel_scale
    angle = torch.atan2(axis[None, :, None] - center_y[:, None, None], axis[None, None, :] - center_x[:, None, None])
    bins = ((angle / (2 * math.pi) + 0.5) * AZIMUTH_BINS).long().clamp(0, AZIMUTH_BINS - 1)
    lit = torch.zeros(batch, AZIMUTH_BINS)
    mask = above_sky(arc, sky_sigma).to(lit.dtype)
    lit.scatter_reduce_(1, bins.reshape(batch, -1), mask.reshape(batch, -1), "amax")
    return lit.sum(1) * (360 / AZIMUTH_BINS)


def resolved(theta_E: Tensor, r_e: Tensor, seeing: float) -> Tensor:
    """Collett's (2015) geometry: the images are apart if theta_E^2 > r_s^2 + (seeing / 2)^2 [arcsec]."""
    return theta_E**2 > r_e**2 + (seeing / 2) ** 2
