"""The colours of families in the false-positive atlas."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from lensdream.evaluate import atlas
from lensdream.evaluate.atlas import COLOURS, colour
from lensdream.evaluate.stream import Highest
from lensdream.families import EMPTY, FAMILIES_NON_LENS
from lensdream.instrument import Band


def test_every_family_of_non_lenses_has_a_colour_of_its_own():
    assert tuple(COLOURS) == FAMILIES_NON_LENS
    assert len(set(COLOURS.values())) == len(FAMILIES_NON_LENS)
    assert COLOURS[EMPTY] == to_rgb("black")


@pytest.mark.parametrize("n", [13, 24])
def test_colours_of_more_families_are_told_apart(n):
    nearest = min(np.linalg.norm(np.subtract(a, b)) for a, b in itertools.combinations(map(colour, range(n)), 2))
    assert nearest > 0.1
    assert all(0 <= value <= 1 for number in range(n) for value in colour(number))


RNG = np.random.default_rng(0)


@pytest.mark.parametrize("n", [1, 13])
def test_the_atlas_names_family_and_logit(n):
    rows = pd.DataFrame({"family": np.resize(["edge_on", "empty"], n), "logit": np.linspace(9, 2, n)})
    figure = atlas.draw(Highest(rows, RNG.normal(size=(n, len(Band), 8, 8)).astype(np.float16)))
    assert len(figure.axes) == n
    assert figure.axes[0].get_title() == "edge on 9.0"
    assert f"edge on ({(n + 1) // 2})" in [text.get_text() for text in figure.legends[0].get_texts()]
