"""The colours of families in the false-positive atlas."""

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from lensdream.evaluate.atlas import COLOURS, colour
from lensdream.families import EMPTY, FAMILIES_NON_LENS


def test_every_family_of_non_lenses_has_a_colour_of_its_own():
    assert tuple(COLOURS) == FAMILIES_NON_LENS
    assert len(set(COLOURS.values())) == len(FAMILIES_NON_LENS)
    assert COLOURS[EMPTY] == to_rgb("black")


@pytest.mark.parametrize("n", [13, 24])
def test_colours_of_more_families_are_told_apart(n):
    nearest = min(np.linalg.norm(np.subtract(a, b)) for a, b in itertools.combinations(map(colour, range(n)), 2))
    assert nearest > 0.1
    assert all(0 <= value <= 1 for number in range(n) for value in colour(number))
