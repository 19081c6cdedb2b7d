"""Deflectors: velocity dispersions, shapes and colours."""

import numpy as np
import pytest
from astropy.cosmology import FlatLambdaCDM

from lensdream.optics.cosmology import COSMOLOGY
from lensdream.population.catalogs import draw_catalogs
from lensdream.population.deflectors import absolute_magnitude, axis_ratio, draw_deflectors, rayleigh_axis_ratio


@pytest.fixture(scope="module")
def catalogs():
    return draw_catalogs(3, 0.03, 27.0, 20_000)


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


def test_velocity_dispersions_follow_the_function_times_the_cross_section():
    np.random.seed(1)
    _, sigma = draw_deflectors(200_000, FlatLambdaCDM(70, 0.3))
    grid = np.linspace(100, 400, 2000)
    density = (grid / 161) ** 2.32 * np.exp(-((grid / 161) ** 2.67)) / grid * grid**4
    mean = (grid * density).sum() / density.sum()
    assert sigma.mean() == pytest.approx(mean, rel=0.005)
    # Hyde & Bernardi's relation turned round: log sigma = -2.97 - 0.37 M - 0.006 M^2
    magnitude = np.mean(absolute_magnitude(np.full(50_000, 220.0)))
    assert -2.97 - 0.37 * magnitude - 0.006 * magnitude**2 == pytest.approx(np.log10(220), abs=0.01)
