"""Sky noise with the correlation of resampled mosaics."""

from __future__ import annotations

import torch
from torch import Tensor


def noise_filter(width: int, length: float, white: float) -> Tensor:
    """Filter (width, width // 2 + 1) that turns white unit noise into stationary correlated unit noise.

    The correlation at distance d [pixel] is (1 - white) exp(-d^2 / (4 length^2)), 1 at zero: the square root of its
    spectrum, by the Wiener-Khinchin theorem. `white` is the uncorrelated share of the variance.
    """
    frequency = 2 * torch.pi * torch.fft.fftfreq(width, dtype=torch.float64)
    half = frequency[: width // 2 + 1].abs()
    spectrum = torch.exp(-(length**2) * (frequency[:, None] ** 2 + half[None, :] ** 2))
    # the sum over the full plane, not the half plane, is the variance
    full = torch.exp(-(length**2) * (frequency[:, None] ** 2 + frequency[None, :] ** 2))
    return torch.sqrt((1 - white) * spectrum / full.mean() + white)


def correlated_noise(white: Tensor, noise_filters: Tensor) -> Tensor:
    """Unit-variance correlated noise from white noise (..., n, n) and filters (..., n, n // 2 + 1)."""
    return torch.fft.irfft2(torch.fft.rfft2(white) * noise_filters, s=white.shape[-2:])


def shot_noise_variance(flux: Tensor, electrons_per_microjansky: Tensor) -> Tensor:
    """Variance [microjansky^2] of a pixel's flux [microjansky], in the Gaussian limit; none for negative flux."""
    return flux.clamp(min=0) / electrons_per_microjansky
