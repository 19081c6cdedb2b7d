"""Counts and redshifts as published."""

import numpy as np
import pytest

from lensdream.population import number_counts


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
