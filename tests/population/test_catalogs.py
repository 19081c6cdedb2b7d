"""Galaxies: magnitudes from the table against SkyPy's own, counts and redshifts as published, sizes and shapes."""

import numpy as np
import pytest

from lensdream.instrument import microjansky
from lensdream.optics.cosmology import COSMOLOGY
from lensdream.population import number_counts
from lensdream.population.catalogs import SMALLEST_SIZE, draw_catalogs


@pytest.fixture(scope="module")
def catalogs():
    return draw_catalogs(3, 0.03, 27.0, 20_000)


def magnitude(galaxies):
    return 23.9 - 2.5 * np.log10(galaxies["flux_VIS"].to_numpy())


def test_pool_has_the_published_counts_and_redshifts(catalogs):
    m, z = magnitude(catalogs.galaxies), catalogs.galaxies["z"].to_numpy()
    for low, high in ((22, 24), (24, 25), (25, 26), (26, 27)):
        here = (m >= low) & (m < high)
        expected = number_counts.cumulative_counts(high) - number_counts.cumulative_counts(low)
        # Poisson, and a tenth for cells in which SkyPy has too few
        assert here.sum() / catalogs.sky_area == pytest.approx(expected, rel=0.1)
        assert np.median(z[here]) == pytest.approx(number_counts.median_redshift((low + high) / 2), rel=0.1)


def test_colours_are_those_of_euclid_mosaics(catalogs):
    m = magnitude(catalogs.galaxies)
    colour = 2.5 * np.log10(catalogs.galaxies["flux_H"] / catalogs.galaxies["flux_VIS"]).to_numpy()
    for (low, high), median in (((20, 24), 1.1), ((24, 26.5), 0.7)):
        here = colour[(m >= low) & (m < high)]
        assert np.median(here) == pytest.approx(median, abs=0.1)
        assert np.diff(np.percentile(here, [16, 84]))[0] / 2 == pytest.approx(0.6, abs=0.07)


def test_sizes_of_faint_blue_galaxies_follow_the_relation(catalogs):
    blue = catalogs.galaxies[~catalogs.galaxies["red"]]
    blue = blue[(blue["M"] > -20.0) & (blue["M"] < -19.0)]  # where hardly any is cut at SMALLEST_SIZE
    assert (blue["r_e"] == SMALLEST_SIZE).mean() < 0.1
    size = blue["r_e"] / COSMOLOGY.arcsec_per_kpc_proper(blue["z"].to_numpy()).value
    expected = -(blue["M"] - 0.15 + 18) / 4 - 1.2 * np.log10((1 + blue["z"]) / 1.6)
    residual = np.log10(size) - expected
    assert residual.median() == pytest.approx(0.0, abs=0.05)
    assert residual.std() == pytest.approx(0.35, abs=0.02)


def test_catalogs_hold_no_galaxy_below_the_limit_and_none_twice(catalogs):
    flux = catalogs.galaxies["flux_VIS"]
    assert flux.min() > microjansky(27.0)
    assert flux.is_unique
    assert catalogs.sky_area == pytest.approx(108.0)
    assert catalogs.galaxies["r_e"].min() == SMALLEST_SIZE
