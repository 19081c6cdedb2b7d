"""Artefacts of an image, as columns of the table of scenes: at most one a scene.

Flaws of the detector are numbers in the scene's row, and `optics.artefacts` draws them into the finished image; ghosts
and trails are light, and so they are components.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lensdream.instrument import EUCLID, N_BANDS, Band
from lensdream.population.builder import SceneBuilder
from lensdream.scene import Role, Shape

NEAR_INFRARED = tuple(band for band in Band if band != Band.VIS)
PIXEL_AREA = EUCLID.pixel_scale**2
"""[arcsec^2]"""


def add_artefact(builder: SceneBuilder, rng: np.random.Generator) -> None:
    """Add one artefact to a scene, drawn by the shares of `ARTEFACTS`."""
    artefacts, weights = zip(*ARTEFACTS.items(), strict=True)
    artefacts[rng.choice(len(artefacts), p=weights)](builder, rng)


def cosmic_rays(builder: SceneBuilder, rng: np.random.Generator) -> None:
    """A few cosmic-ray tracks that the rejection left over."""
    builder.row["cosmic_rays"] = int(rng.integers(1, 9))


def hot_pixels(builder: SceneBuilder, rng: np.random.Generator) -> None:
    """Single hot pixels."""
    builder.row["hot_pixels"] = int(rng.integers(1, 9))


def dead_columns(builder: SceneBuilder, rng: np.random.Generator) -> None:
    """One to three columns or rows without data or with an offset."""
    builder.row["dead_columns"] = int(rng.integers(1, 4))


def detector_edge(builder: SceneBuilder, rng: np.random.Generator) -> None:
    """An edge of the detector, or of the mosaic, inside the stamp."""
    builder.row |= {"edge": rng.uniform(0.05, 0.35), "edge_side": int(rng.integers(4))}


def missing_bands(builder: SceneBuilder, rng: np.random.Generator) -> None:
    """Loss of one near-infrared band or of all three; targets without VIS are not simulated."""
    missing = NEAR_INFRARED if rng.random() < 0.5 else (rng.choice(NEAR_INFRARED),)
    builder.row["missing_bands"] = int(sum(2 ** int(band) for band in missing))


def ghost(builder: SceneBuilder, rng: np.random.Generator) -> None:
    """Out-of-focus image of a bright star off the stamp: a faint disc or ring of the pupil, nearly in one band only."""
    radius, level = rng.uniform(1.0, 3.5), 10 ** rng.uniform(-0.2, 0.8)
    width = rng.uniform(0.08, 0.3) if rng.random() < 0.6 else 0.0
    # a ring's area is that of its band; a profile of index 0.3 is flat to its radius and gone at twice of it
    area = 2 * np.pi * radius**2 * (width * np.sqrt(2 * np.pi) if width else 1.2)
    flux = _one_band(rng, leak=0.1) * level * area / PIXEL_AREA
    (x, y), q, phi = rng.normal(0, 1.2, 2), rng.uniform(0.85, 1.0), rng.uniform(0, np.pi)
    builder.add(Role.NEIGHBOUR, 0, x, y, radius, 0.3, q, phi, flux, Shape(ring_width=width))


def trail(builder: SceneBuilder, rng: np.random.Generator) -> None:
    """Streak of a satellite or asteroid in one band, through the stamp or ending in it."""
    half_length = 10 ** rng.uniform(0.0, 1.0)
    half_width = rng.uniform(0.08, 0.2)
    level = 10 ** rng.uniform(0.5, 1.5)
    # a Gaussian of these half-light radii: the flux is 2 pi sigma_u sigma_v times its peak
    area = 2 * np.pi * half_length * half_width / (2 * np.log(2))
    flux = _one_band(rng, leak=0.0) * level * area / PIXEL_AREA
    (x, y), phi = rng.uniform(-2.5, 2.5, 2), rng.uniform(0, np.pi)
    r_e = np.sqrt(half_length * half_width)
    builder.add(Role.NEIGHBOUR, 0, x, y, r_e, 0.5, half_width / half_length, phi, flux)


def _one_band(rng: np.random.Generator, leak: float) -> np.ndarray:
    """Scatter of the sky (band,) [microjansky a pixel] of one band, and up to a share `leak` of it in the others."""
    level = np.where(np.arange(N_BANDS) == rng.integers(N_BANDS), 1.0, rng.uniform(0.0, leak, N_BANDS))
    return level * np.array(EUCLID.sky_sigma)


ARTEFACTS: dict[Callable[[SceneBuilder, np.random.Generator], None], float] = {
    cosmic_rays: 0.28, hot_pixels: 0.1, dead_columns: 0.12, detector_edge: 0.12, missing_bands: 0.14, ghost: 0.16,
    trail: 0.08,
}  # fmt: skip
"""every artefact and its share"""
