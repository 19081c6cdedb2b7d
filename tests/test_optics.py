"""Optics against analytic cases."""

import numpy as np
import pytest
import torch

from lensdream.instrument import EUCLID, Band
from lensdream.optics.multiplane import Deflectors, trace_to_source_1, trace_to_source_2
from lensdream.optics.noise import correlated_noise, noise_filter
from lensdream.optics.psf import convolve, convolve_and_thin, moffat, moffat_kernel
from lensdream.optics.sampling import Frame
from lensdream.optics.sersic import (
    dust_lane,
    elliptical_coordinates,
    reach,
    ring,
    sersic,
    spiral_arms,
    surface_brightness_at_r_e,
    surface_brightness_of_crest,
)
from lensdream.optics.sie import deflection_sie, einstein_radius_sis


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
    first, second = (1.0, 1.4, 0.0, 0.8, 0.3, 0.02, 0.0, 0.9, 0.0, 0.1, 0.1, 0.03, -0.02), (0.5, 0.7, 0.2, 0.9, -0.4)
    mass = Deflectors(*(zero + v for v in (*first, *second)))  # theta_E_12 = 0
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


@pytest.mark.parametrize("contrast", [0.0, 0.8, 6.0])
def test_arms_keep_the_flux(contrast):
    angle = torch.linspace(0, 2 * np.pi, 721, dtype=torch.float64)[:-1]
    for radius in (0.1, 0.5, 2.0):
        factor = spiral_arms(
            radius * torch.cos(angle), radius * torch.sin(angle), t(0.5), t(contrast), t(2.0), t(-0.3), t(1.0)
        )
        assert float(factor.mean()) == pytest.approx(1.0, abs=1e-9)
        assert float(factor.max() / factor.min()) == pytest.approx(np.exp(2 * contrast), rel=0.005)


def test_arms_wind_as_logarithmic_spirals():
    # the crest at ln(r / r_e) = phi tan(pitch) for phase 0
    angle = torch.linspace(-2, 2, 9, dtype=torch.float64)
    radius = 0.5 * torch.exp(angle * np.tan(0.3))
    x, y = radius * torch.cos(angle), radius * torch.sin(angle)
    on, beside = (
        spiral_arms(x, y, t(0.5), t(2.0), t(1.0), t(pitch), t(phase)) for pitch, phase in ((0.3, 0.0), (0.3, 0.2))
    )
    assert torch.allclose(on, torch.exp(t(2.0)) / torch.special.i0(t(2.0)), rtol=1e-12)
    assert (beside < on).all()


@pytest.mark.parametrize("width", [0.05, 0.3, 1.5])
def test_total_flux_of_a_ring(width):
    radius = torch.linspace(0, 0.7 * (1 + 12 * width), 200_001, dtype=torch.float64)
    light = ring(radius, 0 * radius, t(0.7), t(width)) * float(surface_brightness_of_crest(3.0, 0.7, width))
    assert float(torch.trapezoid(2 * np.pi * radius * light, radius)) == pytest.approx(3.0, rel=1e-6)
    assert float(ring(t(0.42), t(0.56), t(0.7), t(width))) == pytest.approx(1.0)


def test_a_dust_lane_is_dark_on_the_major_axis_alone():
    q, phi = t(0.3), t(0.6)
    along, across = torch.meshgrid(t(-1.0, 0.0, 0.4), t(0.0, 0.08, 1.0), indexing="ij")
    x, y = torch.cos(phi) * along - torch.sin(phi) * across, torch.sin(phi) * along + torch.cos(phi) * across
    _, v = elliptical_coordinates(x, y, q, phi, t(0.0), t(0.0))
    expected = (1 - torch.exp(-0.5 * t(0.0, 1.0, 12.5) ** 2)).expand(3, 3)
    assert torch.allclose(dust_lane(v, q, t(0.08)), expected, atol=1e-12)


@pytest.mark.parametrize("n", [0.5, 1.0, 4.0])
def test_a_profile_is_dark_beyond_its_reach(n):
    far = float(reach(np.array(0.3), np.array(n), np.array(0.0), 19.0))
    assert float(torch.log(sersic(t(far), t(0.0), t(0.3), t(n)))) == pytest.approx(-19.0)
    far = float(reach(np.array(0.3), np.array(n), np.array(0.2), 19.0))
    assert float(torch.log(ring(t(0.0), t(far), t(0.3), t(0.2)))) == pytest.approx(-19.0)


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


MEASURED = {Band.VIS: (0.23, 0.01)} | dict.fromkeys((Band.Y, Band.J, Band.H), (0.82, 0.27))
"""correlation of Euclid Q1's sky at lags of 1 and 3 pixels, faint galaxies taken out (`benchmarks/noise.py`)"""
MODELLED = {Band.VIS: (0.25, 0.01)} | dict.fromkeys((Band.Y, Band.J, Band.H), (0.80, 0.29))
"""that of the noise, for which `sky_correlation` has two numbers a band"""


@pytest.mark.parametrize("band", list(Band))
def test_noise_is_correlated_as_modelled_and_within_0_03_as_measured_on_real_sky(band):
    of_band = noise_filter(96, *EUCLID.bands[band].sky_correlation)
    correlation = torch.fft.irfft2(of_band**2)  # Wiener and Khinchin
    assert float(correlation[0, 0]) == pytest.approx(1.0)
    modelled = [float(correlation[0, lag]) for lag in (1, 3)]
    assert modelled == pytest.approx(MODELLED[band], abs=0.005)
    assert modelled == pytest.approx(MEASURED[band], abs=0.03)
    white = torch.randn(60, 96, 96, generator=torch.Generator().manual_seed(1))
    noise = correlated_noise(white, of_band.float())
    assert float(noise.var()) == pytest.approx(1.0, rel=0.02)
    drawn = [float((noise * noise.roll(lag, axis)).mean()) for lag, axis in ((1, 2), (3, 1))]
    assert drawn == pytest.approx(modelled, abs=0.02)


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
