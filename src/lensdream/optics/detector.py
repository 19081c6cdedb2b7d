"""From the sky to the mosaic where the detector's pixels are larger: sampling by dithered exposures and resampling."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


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
    """How much farther [mosaic pixel] than the point spread a detector pixel and its interpolation carry light."""
    return pixels // 2 + pixels - 1


@lru_cache(maxsize=64)
def interpolation(width: int, pixels: int, place: int) -> Tensor:
    """Matrix (width, samples) float64 of linear interpolation from samples at place, place + pixels, ... to all pixels.

    Beyond the outermost samples their values go on.
    """
    at = torch.arange(place, width, pixels, dtype=torch.float64)
    position = ((torch.arange(width, dtype=torch.float64) - place) / pixels).clamp(0, len(at) - 1)
    low = position.floor().long().clamp(max=len(at) - 2)
    weight = position - low
    matrix = torch.zeros(width, len(at), dtype=torch.float64)
    rows = torch.arange(width)
    matrix[rows, low] = 1 - weight
    matrix[rows, low + 1] += weight
    return matrix


def resample(sky: Tensor, places: tuple[tuple[int, int], ...], pixels: int) -> Tensor:
    """What dithered exposures make of a sky (..., n, n) already averaged over the detector's pixel.

    Each exposure records every `pixels`-th sample from its place (y, x) on, is interpolated linearly onto all n pixels as
    the mosaics are (SWarp, BILINEAR), and the exposures are averaged.
    """
    n = sky.shape[-1]
    total = torch.zeros_like(sky)
    for y, x in places:
        up, across = (interpolation(n, pixels, place).to(sky) for place in (y, x))
        total += up @ sky[..., y::pixels, x::pixels] @ across.T
    return total / len(places)
