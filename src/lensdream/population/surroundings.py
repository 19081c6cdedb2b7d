"""Surroundings of a target: chance neighbours and artefacts of the exposure."""

from __future__ import annotations

import numpy as np

from lensdream.config import FIELD_WIDTH, PopulationConfig
from lensdream.instrument import microjansky
from lensdream.population.artefacts import add_artefact
from lensdream.population.builder import SceneBuilder, add_galaxy
from lensdream.population.catalogs import Catalogs
from lensdream.scene import Role


def surround(builder: SceneBuilder, catalogs: Catalogs, rng: np.random.Generator, config: PopulationConfig) -> None:
    """Add neighbours to a scene of any family and, at the rate of the settings, an artefact."""
    add_neighbours(builder, catalogs, rng, config.magnitude_limit)
    if rng.random() < config.artefact_rate:
        add_artefact(builder, rng)


def add_neighbours(builder: SceneBuilder, catalogs: Catalogs, rng: np.random.Generator, magnitude_limit: float) -> None:
    """Add field galaxies at the density of the catalogue, anywhere in the frame but on the target."""
    candidates = catalogs.brighter(microjansky(magnitude_limit))
    per_frame = len(candidates) / catalogs.sky_area * (FIELD_WIDTH / 60) ** 2
    for k in rng.choice(candidates, rng.poisson(per_frame)):
        galaxy = catalogs.galaxy(k)
        x, y = rng.uniform(-FIELD_WIDTH / 2, FIELD_WIDTH / 2, 2)
        if np.hypot(x, y) > 1.0 or galaxy["flux_VIS"] < microjansky(24.5):
            add_galaxy(builder, Role.NEIGHBOUR, galaxy, x, y, rng)
