"""Magnitudes from the table against SkyPy's own."""

import numpy as np
import pytest
from skypy.galaxies.spectrum import dirichlet_coefficients, kcorrect

from lensdream.instrument import EUCLID
from lensdream.optics.cosmology import COSMOLOGY
from lensdream.population import sed

FILTERS = [band.speclite_name for band in EUCLID.bands]


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
