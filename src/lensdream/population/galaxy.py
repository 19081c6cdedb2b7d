"""Galaxy before its shape is drawn: position, size, flattening and light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lensdream.scene import Role

TILT = np.array([0.0, 0.4, 0.7, 1.0])
"""how a change of VIS - H by one magnitude shows in VIS - band"""


@dataclass(frozen=True)
class Galaxy:
    """Position, size, flattening and light of a galaxy; `morphology`, `rings` and `mergers` add its shape."""

    x: float
    y: float
    """centre [arcsec]"""
    r_e: float
    """half-light radius [arcsec], of the circle of equal area"""
    q: float
    phi: float
    """axis ratio and position angle [rad]"""
    flux: np.ndarray
    """(band,) [microjansky]"""
    role: Role = Role.TARGET

    def disc_point(self, radius: float, angle: float) -> tuple[float, float]:
        """Offset (along the major axis, across it) [arcsec] of a point in the plane of the inclined disc."""
        return radius * np.cos(angle) / np.sqrt(self.q), radius * np.sin(angle) * np.sqrt(self.q)

    def sky(self, offset: tuple[float, float]) -> tuple[float, float]:
        """Sky position (x, y) [arcsec] of an offset (along the major axis, across it) [arcsec]."""
        cos, sin = np.cos(self.phi), np.sin(self.phi)
        return self.x + cos * offset[0] - sin * offset[1], self.y + sin * offset[0] + cos * offset[1]


def draw_sersic_index(red: bool, rng: np.random.Generator) -> float:
    """Sersic index of a single profile: de Vaucouleurs-like if red, else a disc's."""
    return rng.uniform(2.0, 4.5) if red else rng.uniform(0.7, 1.6)
