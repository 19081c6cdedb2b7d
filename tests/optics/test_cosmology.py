"""Distances against astropy."""

import pytest
from astropy.cosmology import FlatLambdaCDM

from lensdream.optics.cosmology import distance_ratio


def test_distance_ratios_agree_with_astropy():
    cosmology = FlatLambdaCDM(70, 0.3)
    distance = cosmology.angular_diameter_distance
    for z_lens, z_source in ((0.3, 1.1), (0.9, 3.5)):
        expected = float(distance(z_lens, z_source) / distance(z_source))
        assert float(distance_ratio(z_lens, z_source)) == pytest.approx(expected, rel=1e-5)
    assert float(distance_ratio(1.0, 0.5)) == 0.0
