"""Ray tracing through one or two lens planes to one or two source planes."""

from __future__ import annotations

from dataclasses import dataclass, fields

from torch import Tensor

from lensdream.optics.sie import deflection_sie


@dataclass(frozen=True)
class Deflectors:
    """Masses of a batch of scenes; every field is (B, 1).

    theta_E_1 and theta_E_2 are the deflector's Einstein radii for sources at planes 1 and 2, theta_E_12 is that of source
    1's own mass for source 2: they include the distances, so tracing needs no cosmology. The shear is that for source 1, and
    so is theta_E_b, of a second deflector (b) in the first one's plane; 0 where there is none.
    """

    theta_E_1: Tensor
    theta_E_2: Tensor
    theta_E_12: Tensor
    q: Tensor
    phi: Tensor
    x: Tensor
    y: Tensor
    q_2: Tensor
    phi_2: Tensor
    x_2: Tensor
    y_2: Tensor
    shear_1: Tensor
    shear_2: Tensor
    theta_E_b: Tensor
    q_b: Tensor
    phi_b: Tensor
    x_b: Tensor
    y_b: Tensor

    def of(self, scenes: Tensor) -> Deflectors:
        """Masses of the scenes at these positions (K,), which may repeat."""
        return Deflectors(**{field.name: getattr(self, field.name)[scenes] for field in fields(self)})


def trace_to_source_1(x: Tensor, y: Tensor, mass: Deflectors) -> tuple[Tensor, Tensor]:
    """Angular position [arcsec] in source plane 1 of rays seen at (x, y) [arcsec]: (B, P)."""
    alpha_x, alpha_y = _first_deflection(x, y, mass)
    return x - alpha_x * mass.theta_E_1, y - alpha_y * mass.theta_E_1


def trace_to_source_2(x: Tensor, y: Tensor, mass: Deflectors) -> tuple[Tensor, Tensor]:
    """Angular position [arcsec] in source plane 2, with the mass of source 1 met at its own plane: (B, P).

    The lens equation of two planes, beta_2 = theta - alpha_lens(theta) - alpha_1(beta_1), where each alpha is reduced to
    source 2 (Schneider, Ehlers & Falco 1992, eq. 9.7).
    """
    alpha_x, alpha_y = _first_deflection(x, y, mass)
    x_1, y_1 = x - alpha_x * mass.theta_E_1, y - alpha_y * mass.theta_E_1
    second_x, second_y = deflection_sie(x_1, y_1, mass.theta_E_12, mass.q_2, mass.phi_2, mass.x_2, mass.y_2)
    return x - alpha_x * mass.theta_E_2 - second_x, y - alpha_y * mass.theta_E_2 - second_y


def _first_deflection(x: Tensor, y: Tensor, mass: Deflectors) -> tuple[Tensor, Tensor]:
    """Deflection by the lens plane for an Einstein radius of one; SIEs and shear scale alike with the source's distance."""
    one = mass.theta_E_1.new_ones(())
    alpha_x, alpha_y = deflection_sie(x, y, one, mass.q, mass.phi, mass.x, mass.y)
    pairs = (mass.theta_E_b[:, 0] > 0).nonzero()[:, 0]
    if len(pairs):  # few scenes have a second deflector
        x_b, y_b = (axis if len(axis) == 1 else axis[pairs] for axis in (x, y))
        b = mass.of(pairs)
        b_x, b_y = deflection_sie(x_b, y_b, b.theta_E_b / b.theta_E_1, b.q_b, b.phi_b, b.x_b, b.y_b)
        alpha_x, alpha_y = alpha_x.index_add(0, pairs, b_x), alpha_y.index_add(0, pairs, b_y)
    scale = 1 / mass.theta_E_1  # the shear is that of the surroundings: centred on the stamp
    return (
        alpha_x + scale * (mass.shear_1 * x + mass.shear_2 * y),
        alpha_y + scale * (mass.shear_2 * x - mass.shear_1 * y),
    )
