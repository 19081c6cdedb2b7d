"""Detector pixels larger than the mosaic's: sampling of the sky by dithered exposures, and resampling."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

ALL = slice(None)


def pixel_response(width: int, samples: int, pixels: int, integrate: bool) -> Tensor:
    """Spectrum (width,) complex128, along one axis, of the average over a detector's pixel `pixels` mosaic pixels wide.

    A mosaic pixel is `samples` samples wide. The average stands at the first sample of its central mosaic pixel, so that
    every `samples`-th value is a pixel's. integrate: over the pixel's width, exactly; if not, over the samples in it.
    Raises `ValueError` for an even number of pixels: their centre would lie between two.
    """
    if pixels % 2 == 0:
        raise ValueError(f"a detector pixel is {pixels} mosaic pixels wide, it must be an odd number of them")
    if integrate:
        frequency = torch.fft.fftfreq(width, dtype=torch.float64)
        shift = torch.exp(1j * torch.pi * frequency * (samples - 1))
        return torch.sinc(frequency * samples * pixels) * shift
    line = torch.zeros(width, dtype=torch.float64)
    line[-torch.arange(-(pixels // 2) * samples, (pixels // 2 + 1) * samples) % width] = 1 / (samples * pixels)
    return torch.fft.fft(line)


def wider_by(pixels: int) -> int:
    """Distance [mosaic pixel] over which a detector pixel and its interpolation carry light beyond the point spread."""
    return pixels // 2 + pixels - 1


@lru_cache(maxsize=64)
def sampled(width: int, offsets: tuple[tuple[int, int], ...], pixels: int) -> Tensor:
    """Share of the exposures (width, width) float64 that record each mosaic pixel.

    Each has a sample at its offset (y, x) and every `pixels` pixels from there.
    """
    share = torch.zeros(width, width, dtype=torch.float64)
    for y, x in offsets:
        share[y::pixels, x::pixels] += 1 / len(offsets)
    return share


@lru_cache(maxsize=16)
def interpolation(width: int, pixels: int) -> Tensor:
    """Matrix (width, width) float64 that spreads samples `pixels` apart linearly over all pixels: a triangle's weights."""
    at = torch.arange(width, dtype=torch.float64)
    return (1 - (at[:, None] - at).abs() / pixels).clamp(min=0)


def resample(sky: Tensor, share: Tensor, pixels: int, kept: slice = ALL) -> Tensor:
    """Mosaic of dithered exposures of a sky (..., n, n) already averaged over the detector's pixel.

    Each exposure is interpolated linearly onto all n pixels as the mosaics are (SWarp, BILINEAR), and the exposures are
    averaged; share: from `sampled`, broadcast against the sky; kept: the rows and columns that are returned. Nothing
    comes in over the edges, so the outermost `pixels` - 1 pixels lack light.
    """
    across = interpolation(sky.shape[-1], pixels).to(sky)
    return across[kept] @ (sky * share) @ across[:, kept]
