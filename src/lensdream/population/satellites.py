"""Galaxies that belong to a deflector: a second one that lenses with it, and the members of their group.

A quarter of lenses lie in groups (Keeton, Christlein & Zabludoff 2000, ApJ 537, 697), and as many of the radio lenses have a
luminous satellite within 5 kpc / h, while models give a tenth to a sixth (Bryan, Mao & Kay 2008, MNRAS 391, 959).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lensdream.population.builder import SceneBuilder, fluxes
from lensdream.population.catalogs import CatalogRow
from lensdream.population.galaxy import TILT, draw_sersic_index
from lensdream.scene import Role

FLATTEST = 0.4
"""axis ratio of a second deflector's mass, which is rounder than its light may be"""


@dataclass(frozen=True)
class Pair:
    """Position, flux and mass of a second deflector relative to the first."""

    separation: float
    angle: float
    """position relative to the first [arcsec, rad]"""
    faintness: float
    """flux over the first one's"""
    middle: float
    """distance [arcsec] from the first towards it at which the stamp is centred"""

    @property
    def einstein_radius(self) -> float:
        """Einstein radius of the second over that of the first: light^0.5, for sigma^4 goes as light (Faber & Jackson 1976)."""
        return self.faintness**0.5

    def point(self, distance: float) -> np.ndarray:
        """Offset (x, y) [arcsec] of a point at this distance from the first towards the second."""
        return distance * np.array([np.cos(self.angle), np.sin(self.angle)])

    def towards(self, theta_E: float) -> float:
        """Distance [arcsec] from the first, of Einstein radius theta_E, of a source that the pair images into a ring.

        An isothermal sphere bends light by its Einstein radius at any distance, so the second moves the source that lies
        behind the first by that much towards itself. Where both rings have grown into one, the middle of the masses is it.
        """
        second = theta_E * self.einstein_radius
        return second * min(self.separation / (theta_E + second), 1.0)


def draw_pair(rng: np.random.Generator) -> Pair:
    """Draw a second deflector up to two magnitudes fainter, 0.4 to 2 arcsec away."""
    separation, angle = rng.uniform(0.4, 2.0), rng.uniform(0, 2 * np.pi)
    faintness = 10 ** (-0.4 * rng.uniform(0.0, 2.0))
    # a survey's list of targets has the pair's middle, or the brighter one of it
    middle = separation * faintness / (1 + faintness) if rng.random() < 0.5 else 0.0
    return Pair(separation, angle, faintness, middle)


def add_second_deflector(
    builder: SceneBuilder, galaxy: CatalogRow, pair: Pair, x: float, y: float, theta_E: float, rng: np.random.Generator
) -> None:
    """Add light and mass of the second deflector of a pair whose first, `galaxy`, is at (x, y) with this theta_E."""
    x, y = np.array([x, y]) + pair.point(pair.separation)
    q, phi = add_member(builder, galaxy, pair.faintness, x, y, rng, Role.TARGET)
    builder.row |= {
        "theta_E_b": theta_E * pair.einstein_radius, "mass_b_q": max(q, FLATTEST), "mass_b_phi": phi,
        "mass_b_x": x, "mass_b_y": y,
    }  # fmt: skip


def add_group(builder: SceneBuilder, galaxy: CatalogRow, x: float, y: float, rng: np.random.Generator) -> None:
    """Add one or two early types up to 2.5 mag fainter, 1.3 to 4 arcsec from the deflector `galaxy` at (x, y).

    They have light alone: the shear that every lens has stands for their mass.
    """
    for _ in range(rng.integers(1, 3)):
        radius, angle = rng.uniform(1.3, 4.0), rng.uniform(0, 2 * np.pi)
        faintness = 10 ** (-0.4 * rng.uniform(0.0, 2.5))
        add_member(builder, galaxy, faintness, x + radius * np.cos(angle), y + radius * np.sin(angle), rng)


def add_member(
    builder: SceneBuilder, galaxy: CatalogRow, faintness: float, x: float, y: float, rng: np.random.Generator,
    role: Role = Role.NEIGHBOUR,
) -> tuple[float, float]:  # fmt: skip
    """Add an early type of the redshift of `galaxy`, `faintness` times its flux; returns axis ratio and position angle."""
    q, phi = float(rng.beta(5, 2.5)), rng.uniform(0, np.pi)
    # one red sequence: a few hundredths of a magnitude wide
    flux = fluxes(galaxy) * faintness * 10 ** (0.4 * rng.normal(0, 0.06) * TILT)
    r_e = float(galaxy["r_e"]) * faintness**0.5 * rng.lognormal(0, 0.2)
    builder.add(role, 0, x, y, r_e, draw_sersic_index(True, rng), q, phi, flux)
    return q, phi
