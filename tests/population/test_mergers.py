"""Mergers."""

from galaxy_shapes import DRAWS, FLUX, SHAPES, parts_of
from lensdream.population.mergers import LARGEST_SHELL


def test_mergers_have_tails_or_shells_or_two_nuclei():
    shells, pairs = parts_of(SHAPES["shells"]), parts_of(SHAPES["pair"])
    assert (shells["ring_width"] > 0).groupby(shells["scene"]).sum().between(2, 4).all()
    assert shells.loc[shells["ring_width"] > 0, "r_e"].max() <= LARGEST_SHELL
    tails = pairs[pairs["arm_contrast"] >= 3]
    assert tails["scene"].nunique() > 0.7 * DRAWS
    assert (tails["flux_VIS"] < 0.3 * FLUX[0]).all()
    double = parts_of(SHAPES["double nucleus"])
    assert (double["arm_contrast"].between(0.2, 0.9).groupby(double["scene"]).sum() >= 1).all()
