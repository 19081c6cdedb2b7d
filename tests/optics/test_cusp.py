"""The quadrature around a cusp and its way onto the grid, against integrals."""

import math

import pytest
import torch
from scipy.integrate import quad

from lensdream.optics.cusp import nodes, patch, spread, window


@pytest.mark.parametrize("index", [0.5, 1.0, 4.0, 6.0])
def test_the_quadrature_sums_a_profile_in_its_window(index):
    b = 1.9992 * index - 0.3271

    def profile(r):
        return math.exp(-b * ((r / 0.5) ** (1 / index) - 1))

    expected, _ = quad(
        lambda r: 2 * math.pi * r * profile(r) * math.exp(-((r / 0.13) ** 4)), 0, 0.26, epsrel=1e-11, points=[1e-3]
    )
    x, y, area = nodes(0.13)
    ours = sum(profile(float(torch.hypot(px, py))) * float(a) for px, py, a in zip(x, y, area, strict=True))
    assert ours == pytest.approx(expected, rel=2e-5)


def test_the_window_is_all_at_the_cusp_and_nothing_at_its_edge():
    assert float(window(torch.tensor(0.0), 0.1)) == 1
    assert float(window(torch.tensor(0.2**2), 0.1)) < 2e-7


def test_spreading_keeps_moments():
    position = torch.tensor([4.0, 4.3, 5.9, 6.5], dtype=torch.float64)
    weights = spread(position, 12)
    cells = torch.arange(12, dtype=torch.float64)
    for power in range(6):
        assert torch.allclose((weights * cells**power).sum(-1), position**power, rtol=1e-10)


def test_a_patch_blurs_as_the_points_it_stands_for():
    # points blurred by a Gaussian, and the patch blurred by it, agree: the grid hides where they are no longer
    x, y = torch.tensor([[9.31, 10.8]], dtype=torch.float64), torch.tensor([[10.4, 9.05]], dtype=torch.float64)
    light = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    square = patch(light, x, y, torch.ones(2, dtype=torch.float64), 20)[0]
    cells, sigma = torch.arange(20, dtype=torch.float64), 2.1

    def blurred(px, py, at_x, at_y):
        return torch.exp(-((px - at_x) ** 2 + (py - at_y) ** 2) / (2 * sigma**2))

    gy, gx = torch.meshgrid(cells, cells, indexing="ij")
    for at_x, at_y in ((9.0, 9.0), (12.4, 8.1)):
        expected = (light * blurred(x, y, at_x, at_y)).sum()
        assert float((square * blurred(gx, gy, at_x, at_y)).sum()) == pytest.approx(float(expected), rel=1e-3)
