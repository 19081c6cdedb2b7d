"""Sersic profiles and rings, with log-spiral arms and dust lanes where asked for."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import erf, gammaln
from torch import Tensor

RADIUS_FLOOR = 1e-5
"""radius [arcsec] below which the profile is flat, as in lenstronomy"""


def b_n(sersic_index: Tensor) -> Tensor:
    """Constant b_n, with which r_e encloses half the light: 1.9992 n - 0.3271 (Capaccioli 1989), as in lenstronomy."""
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
    u = (dx * (cos * root)).addcmul_(dy, sin * root)
    # fused and in place: these are passes over memory
    return u, dy.mul_(cos / root).addcmul_(dx, -sin / root)


def sersic(u: Tensor, v: Tensor, r_e: Tensor, sersic_index: Tensor) -> Tensor:
    """Surface brightness, 1 at r_e, at elliptical coordinates (u, v) [arcsec]; all arguments broadcast."""
    squared = (u * u).addcmul_(v, v).clamp_(min=RADIUS_FLOOR**2)
    # (r / r_e)^(1 / n), and exp(-b (that - 1))
    exponent = squared.log_().mul_(0.5 / sersic_index).sub_(torch.log(r_e) / sersic_index).exp_()
    b = b_n(sersic_index)
    return exponent.mul_(-b).add_(b).exp_()


def spiral_arms(
    u: Tensor, v: Tensor, r_e: Tensor, contrast: Tensor, number: Tensor, pitch: Tensor, phase: Tensor
) -> Tensor:
    """Factor exp(contrast cos(t)) / I0(contrast) with t = number (angle - ln(r / r_e) / tan(pitch)) + phase.

    Logarithmic spirals with the profile of von Mises' distribution across: its mean over azimuth is 1 at every radius, so
    the total flux stays. contrast >= 0, the larger the thinner the arms; pitch [rad], at pi / 2 the arms do not wind.
    """
    log_radius = 0.5 * torch.log(torch.clamp(u * u + v * v, min=RADIUS_FLOOR**2) / (r_e * r_e))
    angle = number * (torch.atan2(v, u) - log_radius / torch.tan(pitch)) + phase
    return torch.exp(contrast * (torch.cos(angle) - 1)) / torch.special.i0e(contrast)


def ring(u: Tensor, v: Tensor, r_e: Tensor, ring_width: Tensor) -> Tensor:
    """Surface brightness, 1 at its crest, of a ring of radius r_e [arcsec]: exp(-(r / r_e - 1)^2 / (2 ring_width^2))."""
    deviation = (torch.sqrt(u * u + v * v) / r_e - 1) / ring_width
    return torch.exp(-0.5 * deviation * deviation)


def surface_brightness_of_crest(flux: np.ndarray, r_e: np.ndarray, ring_width: np.ndarray) -> np.ndarray:
    """Surface brightness at the crest [flux a arcsec^2] of a ring with this total flux; r_e in arcsec.

    The integral of 2 pi r over the profile of `ring`, from r = 0: an error function.
    """
    w = np.asarray(ring_width, float)
    area = w**2 * np.exp(-0.5 / w**2) + w * np.sqrt(np.pi / 2) * (1 + erf(1 / (w * np.sqrt(2))))
    return np.asarray(flux) / (2 * np.pi * np.asarray(r_e) ** 2 * area)


def dust_lane(v: Tensor, q: Tensor, dust_width: Tensor) -> Tensor:
    """Factor 1 - exp(-y^2 / (2 dust_width^2)) at the distance y [arcsec] from the major axis; v as elliptical coordinate."""
    y = v * torch.sqrt(q)
    return 1 - torch.exp(-0.5 * (y / dust_width) ** 2)


def reach(r_e: np.ndarray, sersic_index: np.ndarray, ring_width: np.ndarray, darkness: float) -> np.ndarray:
    """Elliptical radius [arcsec] beyond which a profile is fainter than exp(-darkness) of its value at r_e."""
    n = np.asarray(sersic_index, float)
    sersic_reach = (1 + darkness / (1.9992 * n - 0.3271)) ** n
    return np.asarray(r_e) * np.where(ring_width > 0, 1 + np.sqrt(2 * darkness) * ring_width, sersic_reach)
