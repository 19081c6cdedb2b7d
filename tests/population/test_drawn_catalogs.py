"""Catalogs drawn by SkyPy: the same from the same seed, and no galaxy in two splits."""

import numpy as np
import pandas as pd

from lensdream.instrument import microjansky
from lensdream.population.catalogs import SHARES, draw_catalogs


def test_skypy_draws_the_same_pools_from_the_same_seed(catalogs):
    again = draw_catalogs(3, 0.02, 27.0, 20_000)
    pd.testing.assert_frame_equal(catalogs.galaxies, again.galaxies)
    pd.testing.assert_frame_equal(catalogs.deflectors, again.deflectors)


def test_galaxy_counts_are_those_of_the_sky(catalogs):
    # about 25 galaxies arcmin^-2 brighter than 24 and 100 brighter than 26 (Euclid Wide: 30 to 24.5, arXiv:1110.3193)
    counts = [(catalogs.galaxies["flux_VIS"] > microjansky(m)).sum() / catalogs.sky_area for m in (24, 26)]
    assert 12 < counts[0] < 50
    assert 60 < counts[1] < 160


def test_no_galaxy_is_in_two_splits(catalogs):
    parts = [catalogs.split(name) for name in SHARES]
    for table in ("galaxies", "deflectors"):
        flux = np.concatenate([getattr(part, table)["flux_VIS"] for part in parts])
        assert len(flux) == len(getattr(catalogs, table))
        assert len(np.unique(flux)) == len(flux)
