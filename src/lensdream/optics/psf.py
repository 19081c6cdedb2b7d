"""Point spread functions and convolution."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def moffat(radius_squared: Tensor, fwhm: float, beta: float) -> Tensor:
    """Moffat profile, 1 at the centre: (1 + r^2 / a^2)^-beta with a = fwhm / (2 sqrt(2^(1/beta) - 1))."""
    a = fwhm / (2 * math.sqrt(2 ** (1 / beta) - 1))
    return (1 + radius_squared / a**2) ** -beta


def moffat_kernel(
    width: int, scale: float, fwhm: float, beta: float, radius: float, e_1: float = 0.0, e_2: float = 0.0
) -> Tensor:
    """Kernel (width, width) float64 of sum 1, centred on pixel (0, 0) with wrap-around, zero beyond `radius` on either axis.

    A sample that the edge cuts counts by its share inside, so that the kernel's light does not depend on the sampling.

    scale: [arcsec] a sample; fwhm and radius [arcsec]; e_1, e_2: ellipticity (a^2 - b^2) / (a^2 + b^2) along x and along
    the diagonal, below 1 in all.
    """
    offset = torch.fft.fftfreq(width, 1 / width, dtype=torch.float64) * scale
    x, y = offset[None, :], offset[:, None]
    squared = ((1 - e_1) * x**2 + (1 + e_1) * y**2 - 2 * e_2 * x * y) / math.sqrt(1 - e_1**2 - e_2**2)
    inside = ((radius - offset.abs()) / scale + 0.5).clamp(0, 1)
    kernel = moffat(squared, fwhm, beta) * inside[:, None] * inside
    return kernel / kernel.sum()


def convolve(image: Tensor, transfer: Tensor) -> Tensor:
    """Periodic convolution of (..., n, n) with a kernel given by its `rfft2` (..., n, n // 2 + 1)."""
    return torch.fft.irfft2(torch.fft.rfft2(image) * transfer, s=image.shape[-2:])


def convolve_and_thin(fine: Tensor, transfer: Tensor, samples: int) -> Tensor:
    """Every `samples`-th value of the periodic convolution: (..., samples n, samples n) -> (..., n, n).

    Leaving out values folds the spectrum, so the way back is a transform of the values that are kept alone.
    """
    m = fine.shape[-1]
    n = m // samples
    spectrum = (torch.fft.rfft2(fine) * transfer).unflatten(-2, (samples, n)).sum(-3)
    # the half of the columns that a real image's transform leaves out: the conjugate at minus both frequencies
    mirrored = spectrum[..., 1 : (m + 1) // 2].flip(-1).conj()
    mirrored = torch.cat([mirrored[..., :1, :], mirrored[..., 1:, :].flip(-2)], -2)
    folded = torch.cat([spectrum, mirrored], -1).unflatten(-1, (samples, n)).sum(-2)
    return torch.fft.irfft2(folded[..., : n // 2 + 1], s=(n, n)) / samples**2
