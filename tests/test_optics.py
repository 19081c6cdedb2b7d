"""Optics against analytic cases."""

import numpy as np
import pytest
import torch

from lensdream.optics.multiplane import Deflectors, trace_to_source_1, trace_to_source_2
from lensdream.optics.noise import correlated_noise, noise_filter
from lensdream.optics.psf import convolve, moffat, moffat_kernel
from lensdream.optics.sampling import Frame
from lensdream.optics.sersic import elliptical_coordinates, sersic, spiral_arms, surface_brightness_at_r_e
from lensdream.optics.sie import deflection_sie, einstein_radius_sis
from lensdream.survey import EUCLID, Band


def t(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_round_sie_deflects_by_its_einstein_radius_everywhere():
    x, y = torch.randn(2, 200, dtype=torch.float64)
    ax, ay = deflection_sie(x, y, t(1.3), t(1.0), t(0.4), t(0.0), t(0.0))
    assert torch.allclose(torch.hypot(ax, ay), t(1.3), rtol=1e-6)
    assert torch.allclose(ax * y, ay * x, atol=1e-6)


def test_critical_curve_of_a_sie_encloses_the_area_of_its_einstein_radius():
    # the tangential critical curve of a SIE is the isodensity kappa = 1/2: sqrt(q x^2 + y^2 / q) = theta_E
    q, theta_E = 0.6, 0.9
    angle = torch.linspace(0, 6.28, 50, dtype=torch.float64)
    x, y = theta_E / np.sqrt(q) * torch.cos(angle), theta_E * np.sqrt(q) * torch.sin(angle)
    x, y = x.requires_grad_(), y.requires_grad_()
    ax, ay = deflection_sie(x, y, t(theta_E), t(q), t(0.0), t(0.0), t(0.0))
    axx, axy = torch.autograd.grad(ax.sum(), (x, y), retain_graph=True)
    ayx, ayy = torch.autograd.grad(ay.sum(), (x, y))
    determinant = (1 - axx) * (1 - ayy) - axy * ayx
    assert determinant.abs().max() < 1e-6


def test_einstein_radius_of_a_sphere():
    # 4 pi (200 / 299792.458)^2 = 5.593e-6 rad = 1.1536 arcsec
    assert einstein_radius_sis(200, 1.0) == pytest.approx(1.1536, rel=1e-4)


def test_second_plane_without_mass_is_the_first_scaled():
    zero = torch.zeros(1, 1, dtype=torch.float64)
    mass = Deflectors(
        *(zero + v for v in (1.0, 1.4, 0.0, 0.8, 0.3, 0.02, 0.0, 0.9, 0.0, 0.1, 0.1, 0.03, -0.02))
    )  # theta_E_12 = 0
    x, y = torch.randn(2, 1, 100, dtype=torch.float64)
    x1, _ = trace_to_source_1(x, y, mass)
    x2, _ = trace_to_source_2(x, y, mass)
    assert torch.allclose((x - x2), 1.4 * (x - x1))


@pytest.mark.parametrize("n", [0.5, 1.0, 4.0])
def test_total_flux_of_a_profile(n):
    axis = (torch.arange(4001, dtype=torch.float64) - 2000) * 0.02
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    r_e, q = 0.7, 0.5
    u, v = elliptical_coordinates(x, y, t(q), t(0.7), t(0.011), t(-0.007))
    flux = (sersic(u, v, t(r_e), t(n)) * surface_brightness_at_r_e(3.0, r_e, n)).sum() * 0.02**2
    assert float(flux) == pytest.approx(3.0, rel=0.01 if n < 2 else 0.05)  # n = 4 has light beyond 40 arcsec


def test_half_of_the_light_is_inside_r_e():
    axis = (torch.arange(2001, dtype=torch.float64) - 1000) * 0.01
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    light = sersic(x.clone(), y.clone(), t(0.8), t(1.0))
    inside = light[torch.hypot(x, y) < 0.8].sum() / light.sum()
    assert float(inside) == pytest.approx(0.5, abs=0.005)


def test_arms_keep_the_flux():
    angle = torch.linspace(0, 2 * np.pi, 721, dtype=torch.float64)[:-1]
    for radius in (0.1, 0.5, 2.0):
        factor = spiral_arms(
            radius * torch.cos(angle), radius * torch.sin(angle), t(0.5), t(0.8), t(2.0), t(0.3), t(1.0)
        )
        assert float(factor.mean()) == pytest.approx(1.0, abs=1e-9)
        assert float(factor.max()) == pytest.approx(1.8, abs=1e-3)


def test_moffat_has_its_width():
    assert float(moffat(t((0.167 / 2) ** 2), 0.167, 2.15)) == pytest.approx(0.5)


def test_convolution_of_a_point_is_the_kernel():
    kernel = moffat_kernel(32, 0.1, 0.4, 3.0, 1.0)
    point = torch.zeros(32, 32, dtype=torch.float64)
    point[5, 9] = 2.0
    assert torch.allclose(convolve(point, torch.fft.rfft2(kernel)), 2 * kernel.roll((5, 9), (0, 1)), atol=1e-12)
    assert float(kernel.sum()) == pytest.approx(1.0)


@pytest.mark.parametrize("band", list(Band))
def test_noise_is_correlated_as_measured_on_real_sky(band):
    lag_1, lag_3 = (0.27, 0.05) if band == Band.VIS else (0.80, 0.30)
    white = torch.randn(60, 96, 96, generator=torch.Generator().manual_seed(1))
    noise = correlated_noise(white, noise_filter(96, *EUCLID.bands[band].sky_correlation).float())
    assert float(noise.var()) == pytest.approx(1.0, rel=0.02)
    assert float((noise * noise.roll(1, 2)).mean()) == pytest.approx(lag_1, abs=0.02)
    assert float((noise * noise.roll(3, 1)).mean()) == pytest.approx(lag_3, abs=0.02)


def test_a_frame_samples_every_pixel_once():
    frame = Frame(stamp=10, padding=3, supersampling=3, fine_width=8, pixel_scale=0.1)
    x, y = frame.points
    assert len(x) == 16**2 - 8**2 + (8 * 3) ** 2
    pixels = frame.to_pixels(torch.stack([x, y]))
    centre = (torch.arange(16, dtype=torch.float64) - 7.5) * 0.1
    assert torch.allclose(pixels[0], centre.expand(16, 16), atol=1e-12)
    assert torch.allclose(pixels[1], centre[:, None].expand(16, 16), atol=1e-12)
    assert frame.crop(pixels).shape == (2, 10, 10)


def test_an_impossible_frame_is_refused_with_its_bound():
    with pytest.raises(ValueError, match="at most the frame's 46 pixels"):
        Frame(stamp=30, padding=8, supersampling=3, fine_width=47, pixel_scale=0.1)
