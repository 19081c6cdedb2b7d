"""Light around a cusp, which samples on a grid miss: by quadrature, spread over the grid with its moments preserved.

A window, smooth and round, splits a profile in two. The part outside is smooth on the samples. The light inside is summed at
the nodes of a quadrature around the cusp, and every node's light goes to its 6 x 6 nearest samples with the weights of
interpolation: convolved with a point spread, which is smooth on the grid, the light stays at its position.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from torch import Tensor

RADII, ANGLES = 14, 30
"""nodes along the radius and around the cusp"""
CONCENTRATION = 2
"""power that crowds the radii at the cusp"""
WINDOW_EDGE = 2.0
"""distance from the cusp, in radii of the window, beyond which the window is below 2e-7"""


def window(squared: Tensor, radius: float) -> Tensor:
    """Share of the light within the window: exp(-(r / radius)^4), from the squared distance to the cusp."""
    ratio = squared / radius**2
    return torch.exp(-ratio * ratio)


@cache
def nodes(radius: float) -> tuple[Tensor, Tensor, Tensor]:
    """Positions (N,) x, y [arcsec] around a cusp and their areas [arcsec^2] times the window; float64.

    Gauss-Legendre along the radius, its nodes crowded at the cusp; even steps around it.
    """
    t, weight = np.polynomial.legendre.leggauss(RADII)
    t, weight = (t + 1) / 2, weight / 2
    edge = WINDOW_EDGE * radius
    r = edge * t**CONCENTRATION
    ring = weight * CONCENTRATION * edge * t ** (CONCENTRATION - 1) * r * 2 * math.pi / ANGLES
    angle = (np.arange(ANGLES) + 0.5) * 2 * math.pi / ANGLES
    x, y = np.outer(r, np.cos(angle)), np.outer(r, np.sin(angle))
    area = torch.as_tensor(np.repeat(ring, ANGLES))
    x, y = torch.as_tensor(x.ravel()), torch.as_tensor(y.ravel())
    return x, y, area * window(x * x + y * y, radius)


def spread(position: Tensor, cells: int) -> Tensor:
    """Interpolation weights (..., N, cells) of positions (..., N), from 2 to cells - 4, among cells 0, 1, ...

    Lagrange's through the 6 nearest cells.
    """
    first = position.floor()
    nearest = torch.arange(-2, 4, device=position.device)
    distance = [position - first - cell for cell in range(-2, 4)]
    weights = []
    for k in range(6):
        others = [other for other in range(6) if other != k]
        scale = math.prod(k - other for other in others)
        weights.append(torch.stack([distance[other] for other in others]).prod(0) / scale)
    weights = torch.stack(weights, -1)
    index = (first.long()[..., None] + nearest).clamp(0, cells - 1)
    return weights.new_zeros(*position.shape, cells).scatter_add_(-1, index, weights)


def patch(brightness: Tensor, x: Tensor, y: Tensor, area: Tensor, cells: int) -> Tensor:
    """Mean brightness (M, cells, cells) of samples of width 1, with the light of all nodes.

    brightness (M, N) at the nodes, their places x, y (M, N) in samples from the centre of the first one, and area (N,) in
    samples.
    """
    return (spread(y, cells) * (brightness * area)[..., None]).transpose(-1, -2) @ spread(x, cells)
