"""Galaxies that merge: pairs with tidal tails, double nuclei in one envelope, ellipticals with shells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lensdream.population.builder import SceneBuilder
from lensdream.population.galaxy import Galaxy
from lensdream.population.morphology import add_bulge, add_clump, add_part, add_smooth, arc
from lensdream.scene import Shape

LARGEST_SHELL = 3.5
"""radius [arcsec]; the stamp ends at 4"""


def add_pair(builder: SceneBuilder, one: Galaxy, two: Galaxy, rng: np.random.Generator, red: tuple[bool, bool]) -> None:
    """Two galaxies close together, each with a tail or two drawn out of it, or none."""
    away, separation = np.arctan2(one.y - two.y, one.x - two.x), np.hypot(one.x - two.x, one.y - two.y)
    handedness = rng.choice([-1, 1])
    for body, is_red, outward in ((one, red[0], away), (two, red[1], away + np.pi)):
        tail = rng.uniform(0.05, 0.25) if rng.random() < 0.75 else 0.0
        # colliding discs are round and short: thin ones do not survive
        body = replace(body, q=rng.uniform(0.45, 1.0), r_e=min(body.r_e, max(0.5 * separation, 0.25)))
        nucleus = 0.0 if is_red else rng.uniform(0.05, 0.3)
        if nucleus:
            add_bulge(builder, body, rng, nucleus)
        add_smooth(builder, body, rng, is_red, share=1 - tail - nucleus)
        if tail:
            add_tail(builder, body, rng, tail, outward + rng.normal(0, 0.5), handedness)


def add_tail(
    builder: SceneBuilder, body: Galaxy, rng: np.random.Generator, share: float, outward: float, handedness: int
) -> None:
    """A tidal tail that leaves the galaxy in a direction [rad]: a curved arc, or a pair of open arms."""
    face_on = replace(body, q=1.0, phi=outward)
    young = rng.uniform(-0.4, 0.1)
    if rng.random() < 0.6:
        # a circle through the galaxy, tangent to `outward`: the galaxy sits at an azimuth of -+90 degrees
        radius = rng.uniform(0.7, 2.2)
        start = -handedness * np.pi / 2
        shape = arc(start + handedness * rng.uniform(0.5, 0.9), rng.uniform(3.0, 8.0), rng.uniform(0.07, 0.2) / radius)
        add_part(builder, face_on, share, radius, 0.5, tilt=young, at=(0.0, handedness * radius), shape=shape)
        return
    shape = Shape(
        arm_contrast=rng.uniform(3.0, 8.0), arm_number=float(rng.integers(1, 3)),
        arm_pitch=handedness * np.radians(rng.uniform(30, 60)), arm_phase=0.0,
    )  # fmt: skip
    add_part(builder, face_on, share, max(1.8 * body.r_e, 0.7), 0.6, tilt=young, q=rng.uniform(0.5, 1.0), shape=shape)


def add_double_nucleus(builder: SceneBuilder, body: Galaxy, rng: np.random.Generator) -> None:
    """Two nuclei in a lopsided envelope, some with knots of young stars and a tail."""
    nuclei, tail = rng.uniform(0.08, 0.25, 2), rng.uniform(0.03, 0.12)
    knots = rng.uniform(0.01, 0.04, rng.integers(0, 4))
    offset = 0.5 * rng.uniform(0.3, 0.9)
    for share, along in zip(nuclei, (offset, -offset), strict=True):
        add_part(
            builder, body, share, rng.uniform(0.05, 0.15), rng.uniform(0.8, 3.0),
            tilt=rng.normal(0.2, 0.2), q=rng.uniform(0.6, 1.0), at=(along, 0.0),
        )  # fmt: skip
    lopsided = Shape(
        arm_contrast=rng.uniform(0.2, 0.9), arm_number=1.0, arm_pitch=np.radians(rng.uniform(25, 80)),
        arm_phase=rng.uniform(0, 2 * np.pi),
    )  # fmt: skip
    rest = 1 - nuclei.sum() - tail - knots.sum()
    add_part(builder, body, rest, max(body.r_e, 0.4), rng.uniform(0.8, 2.0), shape=lopsided)
    add_tail(builder, body, rng, tail, rng.uniform(0, 2 * np.pi), rng.choice([-1, 1]))
    for share in knots:
        add_clump(builder, body, rng, share, tuple(rng.normal(0, max(body.r_e, 0.4), 2)))


def add_shells(builder: SceneBuilder, body: Galaxy, rng: np.random.Generator) -> None:
    """An elliptical with thin shells on alternating sides of its major axis (Malin & Carter 1983, ApJ 274, 534)."""
    radius = max(0.6, 1.3 * body.r_e) * rng.uniform(0.8, 1.3)
    shares = rng.uniform(0.015, 0.05, rng.integers(2, 5))
    add_smooth(builder, body, rng, red=True, share=1 - shares.sum())
    side = rng.choice([0.0, np.pi])
    for share in shares:
        width = min(rng.uniform(0.06, 0.12) / radius, 0.12)
        shape = arc(side + rng.normal(0, 0.15), rng.uniform(1.5, 6.0), width)
        add_part(builder, body, share, radius, 0.5, tilt=rng.uniform(-0.3, 0.0), q=max(body.q, 0.7), shape=shape)
        radius = min(radius * rng.uniform(1.2, 1.6), LARGEST_SHELL)
        side += np.pi
