"""Non-lenses that resemble lenses, in families that each get a false-positive rate of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from lensdream import families
from lensdream.config import PopulationConfig
from lensdream.instrument import microjansky
from lensdream.optics.cosmology import distance_ratio
from lensdream.population.builder import SceneBuilder, add_galaxy, empty_scene, fluxes
from lensdream.population.catalogs import CatalogRow, Catalogs
from lensdream.population.galaxy import Galaxy
from lensdream.population.lenses import add_early_type
from lensdream.population.mergers import add_double_nucleus, add_pair, add_shells
from lensdream.population.morphology import add_bulge, add_edge_on, add_irregular, add_part, add_spiral
from lensdream.population.rings import add_ring_galaxy
from lensdream.population.satellites import add_member
from lensdream.population.stars import add_star
from lensdream.population.surroundings import surround
from lensdream.scene import FLUX_COLUMNS, Role

TYPICAL_SOURCE_REDSHIFT = 2.0
BRIGHTEST, FAINTEST = microjansky(18.0), microjansky(23.5)
"""flux of an ordinary deflector, and of a galaxy scaled like one [microjansky]"""
LARGEST_R_E = 1.8
"""half-light radius of a target that its stamp can show [arcsec]"""
SCATTER = 0.1
"""scatter of a target's position, an axis [arcsec]; as for deflectors"""

Make = Callable[[Catalogs, str, np.random.Generator], SceneBuilder]
"""(catalogs, split, rng) -> a scene of a family, without neighbours and artefacts"""
FAMILIES: dict[str, Make] = {}
"""all but the controls that are paired with lenses"""


def of_family(name: str) -> Callable[[Make], Make]:
    """Register the decorated function as the one that makes scenes of a family."""

    def registered(make: Make) -> Make:
        FAMILIES[name] = make
        return make

    return registered


@of_family(families.SPIRAL)
def spiral(catalogs: Catalogs, split: str, rng: np.random.Generator) -> SceneBuilder:
    """A disc with bulge and arms, as bright as deflectors are, seen from anywhere but the side."""
    builder = empty_scene(families.SPIRAL, 0, split, rng)
    body = _body(_as_bright_as_a_deflector(catalogs, rng, red=False), rng)
    add_spiral(builder, replace(body, q=rng.uniform(0.25, 1.0)), rng)
    return builder


@of_family(families.RING)
def ring(catalogs: Catalogs, split: str, rng: np.random.Generator) -> SceneBuilder:
    """A ring galaxy: old stars in the middle and young ones around, or all of them young."""
    builder = empty_scene(families.RING, 0, split, rng)
    old = _as_bright_as_a_deflector(catalogs, rng, red=bool(rng.random() < 0.7))
    young = fluxes(_with_flux(catalogs, old["flux_VIS"], rng, red=False, z=old["z"]))
    add_ring_galaxy(builder, _body(old, rng), young, rng)
    return builder


@of_family(families.MERGER)
def merger(catalogs: Catalogs, split: str, rng: np.random.Generator) -> SceneBuilder:
    """Two galaxies of comparable flux in contact, a double nucleus, or an elliptical with shells."""
    builder = empty_scene(families.MERGER, 0, split, rng)
    chance = rng.random()
    if chance < 0.25:
        add_shells(builder, _body(_as_bright_as_a_deflector(catalogs, rng, red=True), rng), rng)
        return builder
    galaxy = _as_bright_as_a_deflector(catalogs, rng, red=bool(rng.random() < 0.3))
    if chance < 0.45:
        add_double_nucleus(builder, _body(galaxy, rng), rng)
        return builder
    share = 1 / (1 + 10 ** (-0.4 * rng.uniform(0.0, 1.5)))
    pair = [_with_flux(catalogs, galaxy["flux_VIS"] * part, rng, z=galaxy["z"]) for part in (share, 1 - share)]
    separation, angle = rng.uniform(0.3, 2.0), rng.uniform(0, 2 * np.pi)
    bodies = [_body(part, rng) for part in pair]
    # a survey's list of targets has the pair's middle, or the brighter one of it
    middle = (1 - share) * separation if rng.random() < 0.5 else 0.0
    bodies = [
        replace(bodies[k], x=bodies[0].x + distance * np.cos(angle), y=bodies[0].y + distance * np.sin(angle))
        for k, distance in enumerate((-middle, separation - middle))
    ]
    add_pair(builder, *bodies, rng, (bool(pair[0]["red"]), bool(pair[1]["red"])))
    return builder


@of_family(families.COMPANION)
def companion(catalogs: Catalogs, split: str, rng: np.random.Generator) -> SceneBuilder:
    """An early type or a disc with one to three galaxies close by, some drawn out along the circle around it."""
    builder = empty_scene(families.COMPANION, 0, split, rng)
    if rng.random() < 0.7:
        galaxy = _any_deflector(catalogs, rng)
        x, y = add_early_type(builder, galaxy, rng, float(np.clip(galaxy["q"], 0.3, 0.99)), rng.uniform(0, np.pi))
    else:
        galaxy = _as_bright_as_a_deflector(catalogs, rng, red=False)
        body = replace(_body(galaxy, rng), q=rng.uniform(0.25, 1.0))
        add_spiral(builder, body, rng)
        x, y = body.x, body.y
    for _ in range(rng.choice([1, 2, 3], p=[0.45, 0.35, 0.2])):
        other = _with_flux(catalogs, float(galaxy["flux_VIS"]) * 10 ** (-0.4 * rng.uniform(0.5, 4.0)), rng)
        radius, angle = rng.uniform(0.4, 2.5), rng.uniform(0, 2 * np.pi)
        at_x, at_y = x + radius * np.cos(angle), y + radius * np.sin(angle)
        if rng.random() < 0.4:
            size = min(float(other["r_e"]), 0.5 * radius)
            builder.add(
                Role.NEIGHBOUR, 0, at_x, at_y, size, rng.uniform(0.6, 1.4), rng.uniform(0.2, 0.5), angle + np.pi / 2,
                fluxes(other),
            )  # fmt: skip
        else:
            add_galaxy(builder, Role.NEIGHBOUR, other, at_x, at_y, rng)
    return builder


@of_family(families.EDGE_ON)
def edge_on(catalogs: Catalogs, split: str, rng: np.random.Generator) -> SceneBuilder:
    """A disc from the side, as bright as deflectors are."""
    builder = empty_scene(families.EDGE_ON, 0, split, rng)
    body = _body(_as_bright_as_a_deflector(catalogs, rng, red=bool(rng.random() < 0.3)), rng)
    q = rng.uniform(0.1, 0.25)
    # a thin disc keeps its length when it is tilted
    add_edge_on(builder, replace(body, q=q, r_e=body.r_e * np.sqrt(q / max(body.q, q))), rng)
    return builder


@of_family(families.GROUP)
def group(catalogs: Catalogs, split: str, rng: np.random.Generator) -> SceneBuilder:
    """Early types of one redshift, and a disc or two, around a brightest one or in a loose row."""
    builder = empty_scene(families.GROUP, 0, split, rng)
    galaxy = _ordinary_deflector(catalogs, rng)
    x, y = add_early_type(builder, galaxy, rng, float(np.clip(galaxy["q"], 0.3, 0.99)), rng.uniform(0, np.pi))
    circle = rng.uniform(0.9, 2.5)
    # members at one distance from the brightest look like images of one source
    around = rng.random() < 0.4
    for _ in range(rng.integers(2, 5)):
        radius, angle = circle * rng.normal(1.0, 0.1) if around else rng.uniform(0.8, 3.5), rng.uniform(0, 2 * np.pi)
        faintness = 10 ** (-0.4 * rng.uniform(0.3, 3.0))
        add_member(builder, galaxy, faintness, x + radius * np.cos(angle), y + radius * np.sin(angle), rng)
    for _ in range(rng.choice(3, p=[0.5, 0.35, 0.15])):
        other = _with_flux(
            catalogs, galaxy["flux_VIS"] * 10 ** (-0.4 * rng.uniform(0.5, 3.0)), rng, red=False, z=galaxy["z"]
        )
        radius, angle = rng.uniform(0.8, 3.5), rng.uniform(0, 2 * np.pi)
        disc = replace(
            _body(other, rng), x=x + radius * np.cos(angle), y=y + radius * np.sin(angle), role=Role.NEIGHBOUR
        )
        bulge = rng.uniform(0.05, 0.4)
        add_bulge(builder, disc, rng, bulge)
        add_part(builder, disc, 1 - bulge, disc.r_e, 1.0)
    return builder


@of_family(families.IRREGULAR)
def irregular(catalogs: Catalogs, split: str, rng: np.random.Generator) -> SceneBuilder:
    """Clumps over a faint disc, off the stamp's centre, VIS 20 to 24.5."""
    builder = empty_scene(families.IRREGULAR, 0, split, rng)
    body = _body(_with_flux(catalogs, microjansky(rng.uniform(20.0, 24.5)), rng, red=False), rng, scatter=0.25)
    add_irregular(builder, replace(body, r_e=1.3 * max(body.r_e, 0.2), q=rng.uniform(0.4, 1.0)), rng)
    return builder


@of_family(families.FIELD)
def field(catalogs: Catalogs, split: str, rng: np.random.Generator) -> SceneBuilder:
    """A galaxy of the field, down to VIS 24.5, as it comes: small, clumpy, off-centre, at times blended with others."""
    builder = empty_scene(families.FIELD, 0, split, rng)
    galaxy = _with_flux(catalogs, microjansky(rng.uniform(19.0, 24.5)), rng)
    x, y = rng.normal(0, 0.2, 2)
    add_galaxy(builder, Role.TARGET, galaxy, x, y, rng)
    for _ in range(rng.choice(3, p=[0.65, 0.27, 0.08])):
        radius, angle = rng.uniform(0.2, 1.5), rng.uniform(0, 2 * np.pi)
        other = _with_flux(catalogs, float(galaxy["flux_VIS"]) * 10 ** (-0.4 * rng.uniform(0.0, 2.5)), rng)
        add_galaxy(builder, Role.NEIGHBOUR, other, x + radius * np.cos(angle), y + radius * np.sin(angle), rng)
    return builder


@of_family(families.STAR)
def star(catalogs: Catalogs, split: str, rng: np.random.Generator) -> SceneBuilder:
    """A star of VIS 16 to 23; one in four has a second star next to it, like the two images of a quasar."""
    builder = empty_scene(families.STAR, 0, split, rng)
    (x, y), magnitude, roll = rng.normal(0, SCATTER, 2), rng.uniform(16.0, 23.0), rng.uniform(0, np.pi / 3)
    add_star(builder, Role.TARGET, x, y, magnitude, roll, rng)
    if rng.random() < 0.25:
        radius, angle = rng.uniform(0.3, 1.0), rng.uniform(0, 2 * np.pi)
        at_x, at_y = x + radius * np.cos(angle), y + radius * np.sin(angle)
        add_star(builder, Role.NEIGHBOUR, at_x, at_y, magnitude + rng.uniform(0.0, 3.0), roll, rng)
    return builder


@of_family(families.ARTEFACT)
def artefact(catalogs: Catalogs, split: str, rng: np.random.Generator) -> SceneBuilder:
    """Any other target of a survey; `draw` adds the artefact."""
    ordinary = (lone_early_type, spiral, field, star, empty)
    builder = ordinary[rng.choice(5, p=[0.4, 0.15, 0.25, 0.1, 0.1])](catalogs, split, rng)
    builder.row["family"] = families.ARTEFACT
    return builder


def lone_early_type(catalogs: Catalogs, split: str, rng: np.random.Generator) -> SceneBuilder:
    """A deflector with nothing behind it."""
    builder = empty_scene(families.ELLIPTICAL, 0, split, rng)
    galaxy = _any_deflector(catalogs, rng)
    add_early_type(builder, galaxy, rng, float(np.clip(galaxy["q"], 0.3, 0.99)), rng.uniform(0, np.pi))
    return builder


@of_family(families.EMPTY)
def empty(catalogs: Catalogs, split: str, rng: np.random.Generator) -> SceneBuilder:
    """Empty sky, with chance neighbours."""
    return empty_scene(families.EMPTY, 0, split, rng)


def draw(
    family: str, catalogs: Catalogs, split: str, rng: np.random.Generator, settings: PopulationConfig
) -> SceneBuilder:
    """Draw a non-lens of a family, with its surroundings; raises `KeyError` for an unknown family."""
    make = FAMILIES[family]
    builder = make(catalogs, split, rng)
    surround(builder, catalogs, rng, replace(settings, artefact_rate=1.0) if make is artefact else settings)
    return builder


def _body(galaxy: CatalogRow, rng: np.random.Generator, scatter: float = SCATTER) -> Galaxy:
    """A galaxy of the catalogue near the stamp's centre, turned by chance."""
    x, y = rng.normal(0, scatter, 2)
    r_e = min(float(galaxy["r_e"]), LARGEST_R_E)
    return Galaxy(x, y, r_e, float(galaxy["q"]), rng.uniform(0, np.pi), fluxes(galaxy))


def _any_deflector(catalogs: Catalogs, rng: np.random.Generator) -> CatalogRow:
    """Random deflector, weighted by its cross-section for a source at TYPICAL_SOURCE_REDSHIFT, as in lenses."""
    while True:
        deflector = catalogs.deflector(int(rng.integers(len(catalogs.deflectors))))
        if rng.random() < distance_ratio(deflector["z"], TYPICAL_SOURCE_REDSHIFT) ** 2:
            return deflector


def _ordinary_deflector(catalogs: Catalogs, rng: np.random.Generator) -> CatalogRow:
    """Random deflector, neither so near that it fills the stamp nor too faint to be a target."""
    while not FAINTEST < (deflector := _any_deflector(catalogs, rng))["flux_VIS"] < BRIGHTEST:
        pass
    return deflector


def _as_bright_as_a_deflector(catalogs: Catalogs, rng: np.random.Generator, red: bool) -> CatalogRow:
    """Galaxy of the field with the flux of a deflector, so that brightness does not separate the classes."""
    return _with_flux(catalogs, _ordinary_deflector(catalogs, rng)["flux_VIS"], rng, red)


def _with_flux(
    catalogs: Catalogs, flux: float, rng: np.random.Generator, red: bool | None = None, z: float | None = None
) -> CatalogRow:
    """Random galaxy of the catalogue's 30 closest to the VIS flux `flux` [microjansky], scaled to it.

    red: of this colour only; z: the one of the 30 that is nearest in redshift.
    """
    near = catalogs.near_flux(flux, 30, red)
    found = [catalogs.galaxy(int(k)) for k in (near if z is not None else [rng.choice(near)])]
    galaxy = found[0] if z is None else min(found, key=lambda other: abs(other["z"] - z))
    scale = flux / galaxy["flux_VIS"]
    return galaxy | {column: galaxy[column] * scale for column in FLUX_COLUMNS}
