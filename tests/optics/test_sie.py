"""Isothermal ellipsoids against analytic cases."""

import numpy as np
import pytest
import torch

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
