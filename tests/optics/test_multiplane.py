"""Rays through two planes."""

import torch

from lensdream.optics.multiplane import Deflectors, trace_to_source_1, trace_to_source_2


def test_second_plane_without_mass_is_the_first_scaled():
    zero = torch.zeros(1, 1, dtype=torch.float64)
    first, second = (1.0, 1.4, 0.0, 0.8, 0.3, 0.02, 0.0, 0.9, 0.0, 0.1, 0.1, 0.03, -0.02), (0.5, 0.7, 0.2, 0.9, -0.4)
    mass = Deflectors(*(zero + v for v in (*first, *second)))  # theta_E_12 = 0
    x, y = torch.randn(2, 1, 100, dtype=torch.float64)
    x1, _ = trace_to_source_1(x, y, mass)
    x2, _ = trace_to_source_2(x, y, mass)
    assert torch.allclose((x - x2), 1.4 * (x - x1))
