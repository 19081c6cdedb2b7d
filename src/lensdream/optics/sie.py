"""The singular isothermal ellipsoid, in lenstronomy's convention of the Einstein radius."""

from __future__ import annotations

import math

import torch
from torch import Tensor

SPEED_OF_LIGHT_KM_S = 299_792.458
CORE = 1e-10
"""core radius [arcsec] that keeps the centre finite, as in lenstronomy's SIE"""
ROUNDEST = 1.0 - 1e-7
"""axis ratio above which the ellipsoid is taken as this round: the formula divides by sqrt(1 - q^2)"""


def deflection_sie(
    x: Tensor, y: Tensor, theta_E: Tensor, q: Tensor, phi: Tensor, center_x: Tensor, center_y: Tensor
) -> tuple[Tensor, Tensor]:
    """Deflection angle [arcsec] of a SIE at (x, y) [arcsec]; all arguments broadcast.

    theta_E is the circularised Einstein radius: the area inside the critical curve is pi theta_E^2, kappa =
    theta_E / (2 sqrt(q x^2 + y^2 / q)), and a SIS (q = 1) deflects by theta_E everywhere.
    Formula: Kormann et al. 1994, A&A 284, 285; Keeton & Kochanek 1998, eqs. 18-19.
    """
    q = q.clamp(max=ROUNDEST)
    cos, sin = torch.cos(phi), torch.sin(phi)
    dx, dy = x - center_x, y - center_y
    u, v = cos * dx + sin * dy, cos * dy - sin * dx  # along the major and the minor axis
    flattening = torch.sqrt((1 - q) * (1 + q))
    core = CORE / torch.sqrt(q)
    psi = torch.sqrt(q * q * (core * core + u * u) + v * v)
    scale = theta_E * torch.sqrt(q) / flattening
    alpha_u = scale * torch.atan(flattening * u / (psi + core))
    alpha_v = scale * torch.atanh(flattening * v / (psi + q * q * core))
    return cos * alpha_u - sin * alpha_v, sin * alpha_u + cos * alpha_v


def einstein_radius_sis(sigma: float, distance_ratio: float) -> float:
    """Einstein radius [arcsec] of a singular isothermal sphere.

    sigma: velocity dispersion [km/s]; distance_ratio: D_ls / D_s, angular diameter distances. 4 pi (sigma/c)^2 D_ls/D_s.
    """
    return 4 * math.pi * (sigma / SPEED_OF_LIGHT_KM_S) ** 2 * distance_ratio * math.degrees(1) * 3600
