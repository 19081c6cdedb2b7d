"""Shapes of galaxies that do not lens: discs with bulge, bar and arms, discs from the side, irregulars.

Every function here adds components that share out the light of one `Galaxy`; their VIS fluxes add up to the body's.
"""

from __future__ import annotations

import numpy as np

from lensdream.population.builder import POINT_R_E, SceneBuilder
from lensdream.population.galaxy import TILT, Galaxy, draw_sersic_index
from lensdream.scene import PLAIN, Shape

NO_WINDING = np.pi / 2
"""pitch of arms that are straight: a window in azimuth"""
RESOLVED = 0.3
"""half-light radius [arcsec] above which the clumps of a disc show"""
LANE_DEPTH = np.array([0.7, 0.55, 0.42, 0.3])
"""share of an edge-on disc's light in each band that its dust lane cuts through; dust reddens"""


def add_part(
    builder: SceneBuilder, body: Galaxy, share: float, r_e: float, sersic_index: float, *, tilt: float = 0.0,
    q: float | None = None, turn: float = 0.0, at: tuple[float, float] = (0.0, 0.0), shape: Shape = PLAIN,
) -> None:  # fmt: skip
    """Add a component with `share` of the galaxy's VIS light, `tilt` [mag] redder than it in VIS - H.

    q is the body's unless given, `turn` [rad] is its angle against the body, `at` its offset (along, across) [arcsec].
    """
    x, y = body.sky(at)
    flux = share * body.flux * 10 ** (0.4 * tilt * TILT)
    builder.add(body.role, 0, x, y, r_e, sersic_index, body.q if q is None else q, body.phi + turn, flux, shape)


def arc(angle: float, contrast: float, ring_width: float, number: int = 1) -> Shape:
    """Shape of a ring whose light gathers around an azimuth [rad]: full at contrast 0, an arc 60 degrees wide at 5.

    number: of such places, evenly around the ring.
    """
    return Shape(
        ring_width=ring_width, arm_contrast=contrast, arm_number=float(number), arm_pitch=NO_WINDING,
        arm_phase=-number * angle,
    )  # fmt: skip


def crest(pattern: Shape, radius: float, arm: int = 0) -> float:
    """Azimuth [rad] of the brightest line of an arm at a radius [r_e of the component that has the arms]."""
    return (2 * np.pi * arm - pattern.arm_phase) / pattern.arm_number + np.log(radius) / np.tan(pattern.arm_pitch)


def add_smooth(builder: SceneBuilder, body: Galaxy, rng: np.random.Generator, red: bool, share: float = 1.0) -> None:
    """One Sersic profile: de Vaucouleurs-like if red, else a disc."""
    add_part(builder, body, share, body.r_e, draw_sersic_index(red, rng))


def add_bulge(builder: SceneBuilder, body: Galaxy, rng: np.random.Generator, share: float) -> None:
    """Round, compact and redder bulge."""
    add_part(
        builder, body, share, body.r_e * rng.uniform(0.12, 0.3), rng.uniform(1.5, 4.0),
        tilt=rng.uniform(0.2, 0.9), q=max(body.q, rng.uniform(0.6, 0.9)),
    )  # fmt: skip


def add_bar(
    builder: SceneBuilder, body: Galaxy, rng: np.random.Generator, share: float, half_length: float, angle: float
) -> None:
    """A bar in the plane of the inclined disc: half_length [arcsec], angle [rad]."""
    along, across = body.disc_point(half_length, angle)
    length = np.hypot(along, across)
    # a bar that points at us looks shorter, not thinner
    q = min(rng.uniform(0.2, 0.35) * half_length / length, 0.8)
    # half of a Gaussian's light lies within 0.6 of where it is lost in the disc
    turn = np.arctan2(across, along)
    add_part(builder, body, share, 0.6 * length * np.sqrt(q), 0.5, tilt=rng.uniform(0.1, 0.5), q=q, turn=turn)


def add_spiral(builder: SceneBuilder, body: Galaxy, rng: np.random.Generator) -> None:
    """Bulge, disc and arms: grand-design or flocculent, barred or not, some with clumps of young stars along the arms.

    Two thirds of disc galaxies are barred in the near infrared, half of them strongly (Eskridge et al. 2000, AJ 119, 536).
    """
    grand_design, barred = rng.random() < 0.6, rng.random() < 0.45
    number = float(rng.choice([1, 2, 3], p=[0.1, 0.75, 0.15]) if grand_design else rng.integers(3, 6))
    contrast = rng.uniform(0.8, 2.5) if grand_design else rng.uniform(0.3, 0.9)
    # arms follow each other by a factor of 1.6 to 6.6 in radius; 2 of them at pitches of 8 to 31 degrees
    pitch, phase = rng.choice([-1, 1]) * np.arctan(number * rng.uniform(0.07, 0.3)), rng.uniform(0, 2 * np.pi)
    size = body.r_e * rng.uniform(1.0, 1.3)
    bulge, bar = rng.uniform(0.02, 0.35), rng.uniform(0.04, 0.15) if barred else 0.0
    if barred:
        length, angle = body.r_e * rng.uniform(0.35, 0.8), rng.uniform(0, np.pi)
        add_bar(builder, body, rng, bar, length, angle)
        # arms start where the bar ends
        phase = -number * (angle - np.log(length / size) / np.tan(pitch))
    pattern = Shape(arm_contrast=contrast, arm_number=number, arm_pitch=pitch, arm_phase=phase)
    add_bulge(builder, body, rng, bulge)
    n_clumps = rng.integers(1, 4) if body.r_e > RESOLVED and rng.random() < 0.5 else 0
    clumps = rng.uniform(0.01, 0.04, n_clumps)
    disc = 1 - bulge - bar - clumps.sum()
    # old stars lie smoothly, young ones in the arms
    young = rng.uniform(0.4, 0.8)
    n, blueness = rng.uniform(0.7, 1.2), rng.uniform(0.0, 0.5)
    add_part(builder, body, disc * (1 - young), body.r_e, n, tilt=blueness)
    add_part(builder, body, disc * young, size, rng.uniform(0.6, 1.0), tilt=-0.5 * blueness, shape=pattern)
    for share in clumps:
        radius = rng.uniform(0.5, 1.5)
        angle = crest(pattern, radius, rng.integers(number)) + rng.normal(0, 0.1)
        add_clump(builder, body, rng, share, body.disc_point(radius * size, angle))


def add_clump(
    builder: SceneBuilder,
    body: Galaxy,
    rng: np.random.Generator,
    share: float,
    at: tuple[float, float],
    size: float = 0.08,
) -> None:
    """A round knot of young stars of about this half-light radius [arcsec], of its own colour."""
    r_e = max(size * rng.lognormal(0.0, 0.4), POINT_R_E)
    add_part(builder, body, share, r_e, 0.5, tilt=rng.normal(-0.3, 0.35), q=1.0, at=at)


def add_edge_on(builder: SceneBuilder, body: Galaxy, rng: np.random.Generator) -> None:
    """A disc from the side, with or without a bulge, two in three with a dust lane.

    The lane lies in one part of the disc's light and leaves another alone, less of it in the near infrared. What it
    absorbs is gone: a body's flux is that without dust.
    """
    bulge = rng.uniform(0.1, 0.5) if rng.random() < 0.6 else rng.uniform(0.01, 0.06)
    add_part(
        builder, body, bulge, body.r_e * rng.uniform(0.25, 0.7), rng.uniform(1.0, 3.0),
        tilt=rng.uniform(0.2, 0.8), q=rng.uniform(0.55, 0.9), turn=rng.normal(0, 0.03),
    )  # fmt: skip
    n = rng.uniform(0.6, 1.1)
    thickness = body.r_e * np.sqrt(body.q)
    lane = Shape(dust_width=float(np.clip(thickness * rng.uniform(0.25, 0.4), 0.03, 0.15)))
    # arms that are seen from the side brighten two opposite quarters, as a warp does
    uneven = Shape(
        arm_contrast=rng.uniform(0.2, 0.8), arm_number=float(rng.integers(1, 3)),
        arm_pitch=rng.choice([-1, 1]) * np.radians(rng.uniform(15, 40)), arm_phase=rng.uniform(0, 2 * np.pi),
    )  # fmt: skip
    bare = uneven if rng.random() < 0.4 else PLAIN
    disc = (1 - bulge) * body.flux
    covered = LANE_DEPTH if rng.random() < 0.67 else np.zeros_like(LANE_DEPTH)
    x, y = body.x, body.y
    builder.add(body.role, 0, x, y, body.r_e, n, body.q, body.phi, disc * (1 - covered), bare)
    if covered.any():
        builder.add(body.role, 0, x, y, body.r_e, n, body.q, body.phi, disc * covered, lane)


def add_irregular(builder: SceneBuilder, body: Galaxy, rng: np.random.Generator) -> None:
    """Clumps without order, in a row, or at the head of a tail (Elmegreen et al. 2007, ApJ 658, 763)."""
    shapes = (_add_clumpy, _add_chain, _add_tadpole)
    shapes[rng.choice(3, p=[0.5, 0.25, 0.25])](builder, body, rng)


def _add_clumpy(builder: SceneBuilder, body: Galaxy, rng: np.random.Generator) -> None:
    glow, shares = _clump_shares(rng, rng.integers(4, 9 if body.r_e > RESOLVED else 6))
    add_part(builder, body, glow, body.r_e, rng.uniform(0.5, 1.0), tilt=rng.uniform(0.0, 0.4))
    for share in shares:
        at = body.disc_point(body.r_e * rng.uniform(0.2, 1.7), rng.uniform(0, 2 * np.pi))
        add_clump(builder, body, rng, share, at, 0.2 * body.r_e)


def _add_chain(builder: SceneBuilder, body: Galaxy, rng: np.random.Generator) -> None:
    """Clumps in a row, straight or bent like a banana."""
    glow, shares = _clump_shares(rng, rng.integers(4, 7))
    q = rng.uniform(0.15, 0.35)
    half_length = body.r_e / np.sqrt(q)
    add_part(builder, body, glow, body.r_e, rng.uniform(0.5, 1.0), q=q)
    bend = rng.normal(0, 0.25) / half_length
    for share, along in zip(shares, np.linspace(-1.4, 1.4, len(shares)) * half_length, strict=True):
        along += rng.normal(0, 0.15) * half_length
        across = bend * (along**2 - half_length**2) + rng.normal(0, 0.04)
        add_clump(builder, body, rng, share, (along, across), 0.2 * body.r_e)


def _add_tadpole(builder: SceneBuilder, body: Galaxy, rng: np.random.Generator) -> None:
    """A bright head and a fading tail, bent in half of them."""
    head = rng.uniform(0.35, 0.65)
    length = body.r_e * rng.uniform(1.5, 3.0)
    add_clump(builder, body, rng, head, (0.0, 0.0), 0.12)
    shares = rng.uniform(0.03, 0.1, rng.integers(1, 4))
    tail, radius = 1 - head - shares.sum(), length * rng.uniform(0.8, 2.0)
    if rng.random() < 0.5:
        # a circle through the head, brightest half a tail's length from it
        shape = arc(-np.pi / 2 + 0.5 * length / radius, rng.uniform(4.0, 8.0), rng.uniform(0.1, 0.2) * length / radius)
        add_part(builder, body, tail, radius, 0.5, q=1.0, at=(0.0, radius), shape=shape)
    else:
        radius = np.inf
        q = rng.uniform(0.15, 0.3)
        add_part(builder, body, tail, 0.5 * length * np.sqrt(q), 0.6, q=q, at=(0.5 * length, 0.0))
    for share in shares:
        along = length * rng.uniform(0.2, 1.2)
        turned = along / radius
        at = (radius * np.sin(turned), radius * (1 - np.cos(turned))) if np.isfinite(radius) else (along, 0.0)
        add_clump(builder, body, rng, share, at)


def _clump_shares(rng: np.random.Generator, number: int) -> tuple[float, np.ndarray]:
    """Share of the light in the smooth component, and share of each clump."""
    glow = rng.uniform(0.25, 0.6)
    return glow, (1 - glow) * rng.dirichlet(np.full(number, 2.0))
