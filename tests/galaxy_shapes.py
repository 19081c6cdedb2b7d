"""Galaxies of several components, and the ranges that their shapes keep to."""

import numpy as np

from lensdream.instrument import N_BANDS
from lensdream.population.builder import empty_scene, to_table
from lensdream.population.galaxy import Galaxy
from lensdream.population.mergers import add_double_nucleus, add_pair, add_shells
from lensdream.population.morphology import add_edge_on, add_irregular, add_spiral
from lensdream.population.rings import add_ring_galaxy
from lensdream.population.stars import add_star
from lensdream.scene import Role

FLUX = np.array([10.0, 15.0, 20.0, 26.0])


DRAWS = 30


def some_body(rng, **changes):
    values = {"x": 0.1, "y": -0.2, "r_e": rng.uniform(0.2, 1.5), "q": rng.uniform(0.3, 1.0), "phi": 1.0, "flux": FLUX}
    return Galaxy(**(values | changes))


def parts_of(*adders):
    """Components of DRAWS galaxies, one scene each, made by the adders in turn."""
    builders = []
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        builders.append(empty_scene("spiral", 0, "test", rng))
        adders[seed % len(adders)](builders[-1], rng)
    return to_table(builders).components


SHAPES = {
    "spiral": lambda builder, rng: add_spiral(builder, some_body(rng), rng),
    "edge_on": lambda builder, rng: add_edge_on(builder, some_body(rng, q=rng.uniform(0.1, 0.25)), rng),
    "irregular": lambda builder, rng: add_irregular(builder, some_body(rng), rng),
    "ring": lambda builder, rng: add_ring_galaxy(builder, some_body(rng), FLUX[0] * np.ones(N_BANDS), rng),
    "double nucleus": lambda builder, rng: add_double_nucleus(builder, some_body(rng), rng),
    "shells": lambda builder, rng: add_shells(builder, some_body(rng), rng),
    "pair": lambda builder, rng: add_pair(
        builder, some_body(rng, flux=0.4 * FLUX), some_body(rng, x=1.0, flux=0.6 * FLUX), rng, (True, False)
    ),
    "star": lambda builder, rng: add_star(
        builder, Role.TARGET, 0.0, 0.0, 23.9 - 2.5 * np.log10(FLUX[0]), 0.3, rng
    ),
}  # fmt: skip
