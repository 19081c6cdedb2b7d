"""Point spreads against analytic cases."""

import numpy as np
import pytest
import torch

from lensdream.optics.psf import convolve, convolve_and_thin, moffat, moffat_kernel


def t(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_moffat_has_its_width():
    assert float(moffat(t((0.167 / 2) ** 2), 0.167, 2.15)) == pytest.approx(0.5)


@pytest.mark.parametrize(("e_1", "e_2"), [(0.0, 0.0), (0.1, 0.0), (0.05, -0.12)])
def test_a_point_spread_is_as_elliptical_as_asked(e_1, e_2):
    # exponent 6, so that second moments converge; the ellipse keeps its area
    kernel = moffat_kernel(512, 0.02, 0.3, 6.0, 5.0, e_1, e_2)
    offset = torch.fft.fftfreq(512, 1 / 512, dtype=torch.float64) * 0.02
    x, y = offset[None, :], offset[:, None]
    xx, yy, xy = (float((kernel * moment).sum()) for moment in (x * x, y * y, x * y))
    assert (xx - yy) / (xx + yy) == pytest.approx(e_1, abs=1e-4)
    assert 2 * xy / (xx + yy) == pytest.approx(e_2, abs=1e-4)
    a = 0.3 / (2 * np.sqrt(2 ** (1 / 6.0) - 1))
    assert xx * yy - xy**2 == pytest.approx((a**2 / (2 * (6.0 - 2))) ** 2, rel=1e-3)
    assert float(kernel.sum()) == pytest.approx(1.0)


@pytest.mark.parametrize(("n", "samples"), [(10, 3), (11, 3), (10, 2), (9, 2), (7, 5), (8, 1)])
def test_thinning_in_fourier_space_is_thinning(n, samples):
    m = n * samples
    fine = torch.randn(2, m, m, dtype=torch.float64)
    transfer = torch.fft.rfft2(torch.randn(m, m, dtype=torch.float64))
    expected = convolve(fine, transfer)[..., ::samples, ::samples]
    assert torch.allclose(convolve_and_thin(fine, transfer, samples), expected, atol=1e-10)


def test_convolution_of_a_point_is_the_kernel():
    kernel = moffat_kernel(32, 0.1, 0.4, 3.0, 1.0)
    point = torch.zeros(32, 32, dtype=torch.float64)
    point[5, 9] = 2.0
    assert torch.allclose(convolve(point, torch.fft.rfft2(kernel)), 2 * kernel.roll((5, 9), (0, 1)), atol=1e-12)
    assert float(kernel.sum()) == pytest.approx(1.0)
