"""Point spread functions and convolution."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def moffat(radius_squared: Tensor, fwhm: float, beta: float) -> Tensor:
    """Moffat profile, 1 at the centre: (1 + r^2 / a^2)^-beta with a = fwhm / (2 sqrt(2^(1/beta) - 1))."""
    a = fwhm / (2 * math.sqrt(2 ** (1 / beta) - 1))
    return (1 + radius_squared / a**2) ** -beta


def moffat_kernel(width: int, scale: float, fwhm: float, beta: float, radius: float) -> Tensor:
    """Kernel (width, width) float64 of sum 1, centred on pixel (0, 0) with wrap-around, zero beyond `radius`.

    scale: [arcsec] a sample; fwhm and radius [arcsec].
    """
    offset = torch.fft.fftfreq(width, 1 / width, dtype=torch.float64) * scale
    squared = offset[:, None] ** 2 + offset[None, :] ** 2
    kernel = moffat(squared, fwhm, beta) * ((offset.abs()[:, None] <= radius) & (offset.abs()[None, :] <= radius))
    return kernel / kernel.sum()


def convolve(image: Tensor, transfer: Tensor) -> Tensor:
    """Periodic convolution of (..., n, n) with a kernel given by its `rfft2` (..., n, n // 2 + 1)."""
    return torch.fft.irfft2(torch.fft.rfft2(image) * transfer, s=image.shape[-2:])
