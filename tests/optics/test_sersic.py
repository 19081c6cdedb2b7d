"""Profiles against analytic cases."""

import numpy as np
import pytest
import torch

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


def t(*values):
    return torch.tensor(values, dtype=torch.float64)


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
