"""Detectability of arcs: masks, signal-to-noise, azimuthal coverage and image separation."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lensdream.instrument import EUCLID, Band
from lensdream.optics.noise import shot_noise_variance

FULL_RING_DEGREES = 270.0
"""a source that covers at least this much azimuth above 1 sigma a pixel makes a ring"""
AZIMUTH_BINS = 72
CORRELATED_SKY = 1.6
"""scatter of a sum over an arc's pixels of sky over that of as many independent ones. Neighbours correlate: the depth of
Euclid Wide, 26.2 at 5 sigma in an aperture 1.3 arcsec wide, is 0.0021 microjansky a pixel; single pixels scatter by 0.0013"""


def above_sky(flux: Tensor, sky_sigma: Tensor) -> Tensor:
    """Pixels of (B, y, x) above 1 sigma of the sky, sky_sigma (B,) in the same unit."""
    return flux > sky_sigma[:, None, None]


def arc_snr(arc: Tensor, light: Tensor, sky_sigma: Tensor) -> Tensor:
    """Signal-to-noise (B,) of arcs against sky and shot noise: the largest over sets of their pixels above 1 sigma.

    Pixels are taken in the order of their own signal-to-noise, as LensPop does (Collett 2015): the arc's pixels on a bright
    core that would only add noise are left out. arc, light: VIS flux of the arc and of all else, (B, y, x) [microjansky a
    pixel]. The value is 0 for an arc without such a pixel.
    """
    mask = above_sky(arc, sky_sigma)
    found = arc.new_zeros(len(arc))
    lit = mask.flatten(1).any(1)
    found[lit] = _best_snr(arc[lit], light[lit], mask[lit], sky_sigma[lit])
    return found


def _best_snr(arc: Tensor, light: Tensor, mask: Tensor, sky_sigma: Tensor) -> Tensor:
    """Values of `arc_snr` for arcs whose masks have at least one pixel."""
    electrons = torch.tensor(EUCLID.bands[Band.VIS].electrons_per_microjansky)
    sky_variance = (CORRELATED_SKY * sky_sigma[:, None, None]) ** 2
    variance = ((sky_variance + shot_noise_variance(arc + light, electrons)) * mask).flatten(1)
    signal = (arc * mask).flatten(1)
    order = (signal / variance.sqrt()).nan_to_num().argsort(1, descending=True)
    signal, variance = (part.gather(1, order).cumsum(1) for part in (signal, variance))
    return (signal / variance.sqrt()).nan_to_num().amax(1)


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
    """Collett's (2015) criterion for separate images: theta_E^2 > r_s^2 + (seeing / 2)^2 [arcsec]."""
    return theta_E**2 > r_e**2 + (seeing / 2) ** 2
