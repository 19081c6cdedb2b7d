"""Ring galaxies."""

import numpy as np

from galaxy_shapes import DRAWS, SHAPES, parts_of
from lensdream.population.rings import LARGEST_RADIUS, SMALLEST_RADIUS


def test_ring_galaxies_have_rings_as_large_as_those_of_lenses():
    parts = parts_of(SHAPES["ring"])
    rings = parts[parts["ring_width"] > 0]
    assert rings["scene"].nunique() == DRAWS
    # those within an outer ring are smaller, and polar ones are foreshortened
    largest = (rings["r_e"] / np.sqrt(rings["q"])).groupby(rings["scene"]).max()
    assert (largest >= 0.99 * SMALLEST_RADIUS).all()
    assert (rings["r_e"] <= LARGEST_RADIUS).all()
    assert rings["ring_width"].between(0.05, 0.3).all()
