"""What looks like a lens and is none, each family with its own false-positive rate."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from lensdream.population.distances import distance_ratio
from lensdream.population.draft import POINT_R_E, Draft, add_galaxy, add_neighbours, blank, fluxes, redden
from lensdream.population.galaxies import Pools
from lensdream.population.lenses import add_early_type
from lensdream.scene import Role
from lensdream.survey import microjansky

TYPICAL_SOURCE_REDSHIFT = 2.0


def spiral(pools: Pools, split: str, rng: np.random.Generator) -> Draft:
    """A disc with a bulge, and arms unless it is seen edge-on; as bright as deflectors are."""
    draft = blank("spiral", 0, split, rng)
    _add_disc_galaxy(draft, _as_bright_as_a_deflector(pools, rng, red=False), rng)
    return draft


def companion(pools: Pools, split: str, rng: np.random.Generator) -> Draft:
    """An early type or a disc with one to three galaxies close by, some drawn out along the circle around it."""
    draft = blank("companion", 0, split, rng)
    if rng.random() < 0.7:
        galaxy = _any_deflector(pools, rng)
        x, y = add_early_type(draft, galaxy, rng, float(np.clip(galaxy["q"], 0.3, 0.99)), rng.uniform(0, np.pi))
    else:
        galaxy = _as_bright_as_a_deflector(pools, rng, red=False)
        x, y = _add_disc_galaxy(draft, galaxy, rng)
    for _ in range(rng.integers(1, 4)):
        other = _with_flux(pools, float(galaxy["flux_VIS"]) * 10 ** (-0.4 * rng.uniform(0.5, 4.0)), rng)
        radius, angle = rng.uniform(0.4, 2.5), rng.uniform(0, 2 * np.pi)
        at_x, at_y = x + radius * np.cos(angle), y + radius * np.sin(angle)
        if rng.random() < 0.4:
            size = min(float(other["r_e"]), 0.5 * radius)
            draft.add(
                Role.NEIGHBOUR, 0, at_x, at_y, size, rng.uniform(0.6, 1.4), rng.uniform(0.2, 0.5), angle + np.pi / 2,
                fluxes(other),
            )  # fmt: skip
        else:
            add_galaxy(draft, Role.NEIGHBOUR, other, at_x, at_y, rng)
    return draft


def field(pools: Pools, split: str, rng: np.random.Generator) -> Draft:
    """A galaxy of the field, down to VIS 24.5, as it comes: small, clumpy, off-centre, at times blended with another."""
    draft = blank("field", 0, split, rng)
    galaxy = _with_flux(pools, microjansky(rng.uniform(19.0, 24.5)), rng)
    x, y = rng.normal(0, 0.2, 2)
    add_galaxy(draft, Role.TARGET, galaxy, x, y, rng)
    if rng.random() < 0.3:
        radius, angle = rng.uniform(0.2, 1.2), rng.uniform(0, 2 * np.pi)
        other = _with_flux(pools, float(galaxy["flux_VIS"]) * 10 ** (-0.4 * rng.uniform(0.0, 2.0)), rng)
        add_galaxy(draft, Role.NEIGHBOUR, other, x + radius * np.cos(angle), y + radius * np.sin(angle), rng)
    return draft


def star(pools: Pools, split: str, rng: np.random.Generator) -> Draft:
    """A point of light of VIS 16.5 to 23, flat in AB within half a magnitude."""
    draft = blank("star", 0, split, rng)
    x, y = rng.normal(0, 0.1, 2)
    tilt = rng.normal(0.2, 0.4)
    flux = microjansky(rng.uniform(16.5, 23.0)) * 10 ** (0.4 * tilt * np.array([0.0, 0.4, 0.7, 1.0]))
    draft.add(Role.TARGET, 0, x, y, POINT_R_E, 0.5, 1.0, 0.0, flux)
    return draft


def empty(pools: Pools, split: str, rng: np.random.Generator) -> Draft:
    """Sky with what happens to lie in it."""
    return blank("empty", 0, split, rng)


FAMILIES: dict[str, Callable[[Pools, str, np.random.Generator], Draft]] = {
    "spiral": spiral, "companion": companion, "field": field, "star": star, "empty": empty,
}  # fmt: skip


def draw(family: str, pools: Pools, split: str, rng: np.random.Generator, magnitude_limit: float) -> Draft:
    """A non-lens of a family, with neighbours; raises `KeyError` for an unknown family."""
    draft = FAMILIES[family](pools, split, rng)
    add_neighbours(draft, pools, rng, magnitude_limit)
    return draft


def _add_disc_galaxy(draft: Draft, galaxy: pd.Series, rng: np.random.Generator) -> tuple[float, float]:
    x, y = rng.normal(0, 0.1, 2)
    phi, q, r_e = rng.uniform(0, np.pi), float(galaxy["q"]), float(galaxy["r_e"])
    bulge, disc = redden(fluxes(galaxy), rng.uniform(0.02, 0.4), 0.5)
    edge_on = q < 0.3
    draft.add(Role.TARGET, 0, x, y, r_e * rng.uniform(0.15, 0.4), rng.uniform(1.5, 4.0), max(q, 0.6), phi, bulge)
    arms = (0.0, 0.0, 1.0, 0.0)
    if not edge_on and rng.random() < 0.85:
        number, pitch = float(rng.choice([1, 2, 3, 4], p=[0.1, 0.6, 0.15, 0.15])), np.radians(rng.uniform(6, 32))
        arms = (rng.uniform(0.3, 0.95), number, rng.choice([-1, 1]) * pitch, rng.uniform(0, 2 * np.pi))
    draft.add(Role.TARGET, 0, x, y, r_e, rng.uniform(0.6, 1.2), q, phi, disc, arms)
    return x, y


def _any_deflector(pools: Pools, rng: np.random.Generator) -> pd.Series:
    """A deflector as likely as it would be to lens a galaxy at TYPICAL_SOURCE_REDSHIFT, so that non-lenses look alike."""
    while True:
        deflector = pools.deflectors.iloc[int(rng.integers(len(pools.deflectors)))]
        if rng.random() < distance_ratio(deflector["z"], TYPICAL_SOURCE_REDSHIFT) ** 2:
            return deflector


def _as_bright_as_a_deflector(pools: Pools, rng: np.random.Generator, red: bool) -> pd.Series:
    """A galaxy of the field with the flux of a deflector of VIS 18 to 23.5, so that brightness gives nothing away."""
    flux = np.clip(float(_any_deflector(pools, rng)["flux_VIS"]), microjansky(23.5), microjansky(18.0))
    return _with_flux(pools, flux, rng, red)


def _with_flux(pools: Pools, flux: float, rng: np.random.Generator, red: bool | None = None) -> pd.Series:
    """A galaxy of the pool whose VIS flux [microjansky] is among the nearest to `flux`, scaled to it."""
    galaxies = pools.galaxies if red is None else pools.galaxies[pools.galaxies["red"] == red]
    near = np.argpartition(np.abs(np.log(galaxies["flux_VIS"].to_numpy() / flux)), 30)[:30]
    galaxy = galaxies.iloc[int(rng.choice(near))].copy()
    scale = flux / galaxy["flux_VIS"]
    for column in (name for name in galaxy.index if name.startswith("flux_")):
        galaxy[column] *= scale
    return galaxy
