"""Sersic profiles, with log-spiral arms where asked for."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import gammaln
from torch import Tensor

RADIUS_FLOOR = 1e-5
"""radius [arcsec] below which the profile is flat, as in lenstronomy"""


def b_n(sersic_index: Tensor) -> Tensor:
    """The constant that makes r_e enclose half the light: 1.9992 n - 0.3271 (Capaccioli 1989), as in lenstronomy."""
    return 1.9992 * sersic_index - 0.3271


def surface_brightness_at_r_e(flux: np.ndarray, r_e: np.ndarray, sersic_index: np.ndarray) -> np.ndarray:
    """Surface brightness at r_e [flux a arcsec^2] of a profile with this total flux; r_e in arcsec.

    Graham & Driver 2005, eq. 4, in the circularised radius sqrt(q x^2 + y^2 / q), whose ellipse has area pi r^2.
    """
    n, b = np.asarray(sersic_index, float), 1.9992 * np.asarray(sersic_index, float) - 0.3271
    log_area = np.log(2 * np.pi * n) + 2 * np.log(r_e) + b - 2 * n * np.log(b) + gammaln(2 * n)
    return np.asarray(flux) * np.exp(-log_area)


def elliptical_coordinates(
    x: Tensor, y: Tensor, q: Tensor, phi: Tensor, center_x: Tensor, center_y: Tensor
) -> tuple[Tensor, Tensor]:
    """Coordinates [arcsec] in which an ellipse of axis ratio q and position angle phi [rad] is a circle of equal area."""
    cos, sin = torch.cos(phi), torch.sin(phi)
    dx, dy = x - center_x, y - center_y
    root = torch.sqrt(q)
    return (cos * dx + sin * dy) * root, (cos * dy - sin * dx) / root


def sersic(u: Tensor, v: Tensor, r_e: Tensor, sersic_index: Tensor) -> Tensor:
    """Surface brightness, 1 at r_e, at elliptical coordinates (u, v) [arcsec]; all arguments broadcast."""
    squared = torch.clamp(u * u + v * v, min=RADIUS_FLOOR**2) / (r_e * r_e)
    exponent = squared.log_().mul_(0.5 / sersic_index).exp_()
    return exponent.sub_(1.0).mul_(-b_n(sersic_index)).exp_()


def spiral_arms(
    u: Tensor, v: Tensor, r_e: Tensor, amplitude: Tensor, number: Tensor, pitch: Tensor, phase: Tensor
) -> Tensor:
    """Factor 1 + amplitude cos(number (angle - ln(r / r_e) / tan(pitch)) + phase): logarithmic spirals.

    Its mean over azimuth is 1 at every radius, so the total flux stays. amplitude in [0, 1], pitch [rad].
    """
    log_radius = 0.5 * torch.log(torch.clamp(u * u + v * v, min=RADIUS_FLOOR**2) / (r_e * r_e))
    return 1 + amplitude * torch.cos(number * (torch.atan2(v, u) - log_radius / torch.tan(pitch)) + phase)
