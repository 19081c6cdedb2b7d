"""Stars: points of light, with diffraction spikes where they are bright."""

from __future__ import annotations

import numpy as np

from lensdream.instrument import Band, microjansky
from lensdream.population.builder import POINT_R_E, SceneBuilder
from lensdream.scene import Role

FAINTEST_SPIKED = 19.5
"""VIS magnitude above which spikes drown in the noise"""
SPIKE_WIDTH = 0.05
"""half of the light of a spike lies within this of its axis [arcsec]; the point spread, wider, hides it"""
VIS_ONLY = np.array([band == Band.VIS for band in Band], float)


def add_star(
    builder: SceneBuilder, role: Role, x: float, y: float, magnitude: float, roll: float, rng: np.random.Generator
) -> None:
    """Add a point source at (x, y) [arcsec] of this VIS magnitude; roll [rad] is the telescope's, which turns the spikes.

    Half of the stars at high galactic latitude are of late K and M type, VIS - H (AB) up to 2; the others are near 0,
    and from J to H stars are flat where galaxies still rise.
    """
    colour = rng.normal(0.0, 0.2) if rng.random() < 0.5 else rng.uniform(0.3, 1.9)
    colours = np.array([0.0, 0.6, 0.9, 1.0]) * colour + np.append(0.0, rng.normal(0, 0.04, 3))
    flux = microjansky(magnitude) * 10 ** (0.4 * colours)
    spikes = []
    if magnitude < FAINTEST_SPIKED:
        # three vanes make six spikes, longer with the wavelength and fainter; long ones need a bright star
        length = 0.5 + 0.25 * (FAINTEST_SPIKED - magnitude)
        share = rng.uniform(0.01, 0.025)
        spikes = [(flux * share * VIS_ONLY, length), (flux * 0.6 * share * (1 - VIS_ONLY), 1.5 * length)]
    builder.add(role, 0, x, y, POINT_R_E, 0.5, 1.0, 0.0, flux - 3 * sum(light for light, _ in spikes))
    for light, length in spikes:
        for vane in range(3):
            builder.add(
                role, 0, x, y, np.sqrt(length * SPIKE_WIDTH), 1.0, SPIKE_WIDTH / length, roll + vane * np.pi / 3, light
            )
