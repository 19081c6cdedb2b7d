"""Galaxies: magnitudes from the table against SkyPy's own, counts and redshifts as published, sizes and shapes."""

import numpy as np
import pytest
from astropy.cosmology import FlatLambdaCDM
from skypy.galaxies.spectrum import dirichlet_coefficients, kcorrect

from lensdream.instrument import EUCLID, microjansky
from lensdream.optics.cosmology import COSMOLOGY
from lensdream.population import number_counts, sed
from lensdream.population.catalogs import SMALLEST_SIZE, draw_catalogs
from lensdream.population.deflectors import axis_ratio, draw_deflectors, rayleigh_axis_ratio

FILTERS = [band.speclite_name for band in EUCLID.bands]


@pytest.fixture(scope="module")
def catalogs():
    return draw_catalogs(3, 0.03, 27.0, 20_000)


def magnitude(galaxies):
    return 23.9 - 2.5 * np.log10(galaxies["flux_VIS"].to_numpy())


@pytest.fixture(scope="module")
def some_galaxies():
    np.random.seed(1)
    z = np.random.uniform(0.05, 3.9, 300)
    blue, red = [2.079, 3.524, 1.917, 1.992, 2.536], [2.461, 2.358, 2.568, 2.268, 2.402]
    coefficients = np.concatenate([
        dirichlet_coefficients(z[:150], blue, blue, weight=[3.47e09, 3.31e06, 2.13e09, 1.64e10, 1.01e09]),
        dirichlet_coefficients(z[150:], red, red, weight=[3.84e09, 1.57e06, 3.91e08, 4.66e10, 3.03e07]),
    ])  # fmt: skip
    return z, coefficients, kcorrect.stellar_mass(coefficients, np.random.uniform(-23, -16, 300), "bessell-B")


def test_magnitudes_are_those_of_skypy(some_galaxies):
    z, coefficients, mass = some_galaxies
    theirs = kcorrect.apparent_magnitudes(coefficients, z, FILTERS, COSMOLOGY, stellar_mass=mass)
    ours = sed.apparent_magnitudes(coefficients, z, FILTERS, mass, COSMOLOGY)
    assert ours.shape == (300, 4)
    off = np.abs(ours - theirs)
    assert np.median(off, axis=0).max() < 1e-4
    assert off.max() < 1e-3


def test_redshifts_beyond_the_table_are_refused(some_galaxies):
    _, coefficients, mass = some_galaxies
    edge = sed.apparent_magnitudes(coefficients[:2], np.array([0.001, 3.98]), FILTERS, mass[:2], COSMOLOGY)
    assert np.isfinite(edge).all()
    for wrong in (4.2, -0.1):
        with pytest.raises(ValueError, match=rf"redshift {wrong} is not in \[0, 3.98\].*end z_range"):
            sed.apparent_magnitudes(coefficients[:2], np.array([1.0, wrong]), FILTERS, mass[:2], COSMOLOGY)


def test_published_redshifts_have_the_published_median():
    for i, median in ((22.25, 0.66), (24.75, 1.06)):
        assert number_counts.median_redshift(i) == pytest.approx(median)
        assert number_counts.share_below(median, i) == pytest.approx(0.5, abs=1e-3)
    assert number_counts.share_below(50.0, 24.0) == pytest.approx(1.0)
    # 46 arcmin^-2 to i = 25 and a factor 10^0.31 a magnitude
    assert number_counts.cumulative_counts(25.0) == 46.0
    assert number_counts.cumulative_counts(26.0) / number_counts.cumulative_counts(25.0) == pytest.approx(
        2.0417, rel=1e-4
    )


def test_thinning_turns_any_draw_into_the_published_sky():
    rng = np.random.default_rng(2)
    # far too many galaxies, all of one magnitude bin, evenly in redshift
    i, z = rng.uniform(25.0, 25.5, 400_000), rng.uniform(0.0, 6.0, 400_000)
    chance = number_counts.chance_to_keep(i, z, sky_area=500.0)
    assert chance.max() < 1
    kept = rng.random(len(z)) < chance
    expected = 500.0 * (number_counts.cumulative_counts(25.5) - number_counts.cumulative_counts(25.0))
    assert kept.sum() == pytest.approx(expected, abs=4 * np.sqrt(expected))
    assert np.median(z[kept]) == pytest.approx(number_counts.median_redshift(25.25), rel=0.05)
    # too few to fill the sky: all stay
    assert (number_counts.chance_to_keep(i[:100], z[:100] / 3, sky_area=500.0) == 1).all()


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


def test_flattening_is_a_cut_rayleigh():
    np.random.seed(4)
    q = rayleigh_axis_ratio(np.full(200_000, 0.3), 0.2)
    assert q.min() > 0.2
    assert q.max() <= 1
    plain = 1 - np.random.rayleigh(0.3, 400_000)
    plain = plain[plain > 0.2]
    for p in (1, 16, 50, 84, 99):
        assert np.percentile(q, p) == pytest.approx(np.percentile(plain, p), abs=0.005)
    assert np.median(axis_ratio(np.full(50_000, 300.0))) > np.median(axis_ratio(np.full(50_000, 150.0)))


def test_deflectors_do_not_thin_out_with_redshift():
    np.random.seed(5)
    z, _ = draw_deflectors(200_000, FlatLambdaCDM(70, 0.3))
    volume = COSMOLOGY.comoving_volume(np.array([0.05, 0.5, 1.0, 2.0])).value
    share = np.diff(volume) / (volume[-1] - volume[0])
    assert np.histogram(z, [0.05, 0.5, 1.0, 2.0])[0] / len(z) == pytest.approx(share, abs=0.004)


def test_deflectors_are_a_red_sequence(catalogs):
    deflectors = catalogs.deflectors[(catalogs.deflectors["z"] > 0.9) & (catalogs.deflectors["z"] < 1.1)]
    colour = 2.5 * np.log10(deflectors["flux_H"] / deflectors["flux_VIS"])
    assert 2.4 < colour.median() < 3.1
    assert colour.std() < 0.3


def test_nothing_fainter_than_the_limit_and_no_galaxy_twice(catalogs):
    flux = catalogs.galaxies["flux_VIS"]
    assert flux.min() > microjansky(27.0)
    assert flux.is_unique
    assert catalogs.sky_area == pytest.approx(108.0)
    assert catalogs.galaxies["r_e"].min() == SMALLEST_SIZE
