"""Ring galaxies, which resemble Einstein rings more than any other galaxies.

Hoag-type: a round old core and a detached ring of young stars; collisional: a galaxy that another fell through;
resonant: rings at the end of a bar and around the disc; polar: a ring of accreted gas across an old galaxy.
Families after Buta & Combes 1996, Fund. Cosmic Phys. 17, 95. In nature nine of ten are resonant and Hoag's kind is one galaxy
in a thousand; the rare ones are drawn in larger numbers here, as they look most like lenses, but not so large that a network
takes every full ring around a round core for one of them: lenses have such rings too.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lensdream.instrument import Band, microjansky
from lensdream.population.builder import SceneBuilder
from lensdream.population.galaxy import Galaxy
from lensdream.population.morphology import add_bar, add_bulge, add_clump, add_part, add_smooth, arc

SMALLEST_RADIUS, LARGEST_RADIUS = 0.5, 2.5
"""radius of a ring [arcsec]: the range of the Einstein radii of galaxies"""


def add_ring_galaxy(builder: SceneBuilder, old: Galaxy, young: np.ndarray, rng: np.random.Generator) -> None:
    """A ring galaxy with the light of `old`, the ring's share of it in the colours of `young`.

    young (band,): the light that `old` would have, were all its stars young; of the same VIS flux.
    """
    types = (_add_hoag, _add_collisional, _add_resonant, _add_polar)
    types[rng.choice(4, p=[0.12, 0.22, 0.56, 0.1])](builder, old, replace(old, flux=young), rng)


def _radius(body: Galaxy, rng: np.random.Generator) -> float:
    """Radius of a ring around this galaxy [arcsec]: 1.1 arcsec at VIS 20.5, that of 4 to 7 kpc at redshift 0.2 to 0.6."""
    typical = 1.1 * (body.flux[Band.VIS] / microjansky(20.5)) ** 0.25
    return float(np.clip(typical * rng.lognormal(0.0, 0.3), SMALLEST_RADIUS, LARGEST_RADIUS))


def _add_knots(
    builder: SceneBuilder, body: Galaxy, rng: np.random.Generator, shares: np.ndarray, radius: float
) -> None:
    for share in shares:
        at = body.disc_point(radius * rng.normal(1.0, 0.05), rng.uniform(0, 2 * np.pi))
        add_clump(builder, body, rng, share, at)


def _add_hoag(builder: SceneBuilder, old: Galaxy, young: Galaxy, rng: np.random.Generator) -> None:
    radius, q = _radius(old, rng), rng.uniform(0.65, 1.0)
    young = replace(young, q=q)
    knots = rng.uniform(0.01, 0.04, rng.integers(0, 4))
    ring = rng.uniform(0.08, 0.45)
    core = replace(old, q=max(q, 0.8), r_e=radius * rng.uniform(0.12, 0.35))
    add_smooth(builder, core, rng, red=True, share=1 - ring - knots.sum())
    # closed but uneven; in some only a part of it shines. As broad as Hoag's own, for a thin one would be Einstein's
    contrast = rng.uniform(0.0, 0.8) if rng.random() < 0.85 else rng.uniform(0.8, 2.0)
    shape = arc(rng.uniform(0, 2 * np.pi), contrast, rng.uniform(0.12, 0.28))
    add_part(builder, young, ring, radius, 0.5, shape=shape)
    _add_knots(builder, young, rng, knots, radius)


def _add_collisional(builder: SceneBuilder, old: Galaxy, young: Galaxy, rng: np.random.Generator) -> None:
    radius, q = _radius(old, rng), rng.uniform(0.45, 1.0)
    old, young = replace(old, q=q), replace(young, q=q)
    knots = rng.uniform(0.02, 0.08, rng.integers(1, 5))
    nucleus, inside = rng.uniform(0.08, 0.3), rng.uniform(0.1, 0.3)
    # the nucleus stands off the centre, on the side where the ring is brighter or opposite to it
    side = rng.uniform(0, 2 * np.pi)
    at = old.disc_point(radius * rng.uniform(0.1, 0.7), side)
    add_part(builder, old, nucleus, 0.15 * radius * rng.lognormal(0, 0.3), rng.uniform(1.0, 3.0), q=max(q, 0.7), at=at)
    add_part(builder, old, inside, 0.6 * radius, 0.5)
    shape = arc(side + rng.choice([0, np.pi]), rng.uniform(0.2, 1.8), rng.uniform(0.1, 0.25))
    add_part(builder, young, 1 - nucleus - inside - knots.sum(), radius, 0.5, shape=shape)
    _add_knots(builder, young, rng, knots, radius)


def _add_resonant(builder: SceneBuilder, old: Galaxy, young: Galaxy, rng: np.random.Generator) -> None:
    radius, q = _radius(old, rng), rng.uniform(0.4, 1.0)
    old, young = replace(old, q=q, r_e=0.7 * radius), replace(young, q=q)
    bar, inner, outer = rng.uniform(0.05, 0.2), rng.uniform(0.06, 0.2), rng.uniform(0.06, 0.2)
    # both rings in one of three, else one of the two
    which = rng.integers(3)
    inner, outer = (inner, 0.0) if which == 0 else (0.0, outer) if which == 1 else (inner, outer)
    bulge, angle = rng.uniform(0.1, 0.35), rng.uniform(0, np.pi)
    inner_radius = radius if outer == 0 else 0.45 * radius
    add_bulge(builder, old, rng, bulge)
    add_bar(builder, old, rng, bar, inner_radius, angle)
    add_part(builder, old, 1 - bulge - bar - inner - outer, old.r_e, rng.uniform(0.7, 1.1))
    if inner:
        # inner rings are stretched along the bar; their ansae, where the bar ends, are brighter
        shape = arc(angle, rng.uniform(0.0, 1.0), rng.uniform(0.08, 0.2), number=2)
        add_part(builder, young, inner, inner_radius, 0.5, shape=shape)
    if outer:
        shape = arc(rng.uniform(0, 2 * np.pi), rng.uniform(0.0, 0.8), rng.uniform(0.1, 0.22))
        add_part(builder, young, outer, radius, 0.5, shape=shape)


def _add_polar(builder: SceneBuilder, old: Galaxy, young: Galaxy, rng: np.random.Generator) -> None:
    q = rng.uniform(0.12, 0.4)
    ring = rng.uniform(0.15, 0.45)
    radius = _radius(old, rng)
    old = replace(old, q=rng.uniform(0.4, 0.9), r_e=radius * rng.uniform(0.2, 0.4))
    add_smooth(builder, old, rng, red=True, share=1 - ring)
    shape = arc(rng.uniform(0, 2 * np.pi), rng.uniform(0.0, 0.8), rng.uniform(0.12, 0.3))
    # r_e is that of the circle of equal area, and the ring is seen nearly from the side
    add_part(builder, young, ring, radius * np.sqrt(q), 0.5, q=q, turn=np.pi / 2 + rng.normal(0, 0.2), shape=shape)
