"""Bad pixels in the core of an object are filled in from the good ones around."""

import numpy as np
import pytest

from lensdream.cutouts.bad_pixels import filled_in
from lensdream.optics.sersic import b_n

SIDE, SOFTENING = 41, 0.01
MIDDLE = SIDE // 2


@pytest.fixture
def galaxy():
    """A round exponential disc of 0.6 arcsec in the middle [microjansky a pixel]."""
    radius = np.hypot(*(np.indices((SIDE, SIDE)) - MIDDLE)) * 0.1
    return 2.0 * np.exp(-b_n(1.0) * radius / 0.6)


def holed(pixels, rows, columns):
    share = np.ones_like(pixels)
    share[rows, columns] = 0
    return np.where(share > 0, pixels, 0.0), share


@pytest.mark.parametrize("at", [(20, 20), (18, 21)], ids=["peak", "flank"])
def test_a_missing_pixel_gets_the_light_of_the_galaxy(galaxy, at):
    pixels, share = holed(galaxy, *at)
    whole, n_bad = filled_in(pixels, share, SOFTENING)
    assert n_bad == 1
    assert whole[at] == pytest.approx(galaxy[at], rel=0.15)
    assert pixels[at] == 0
    others = share > 0
    np.testing.assert_array_equal(whole[others], galaxy[others])


def test_light_that_is_smooth_in_asinh_is_filled_in_exactly():
    y, x = np.indices((SIDE, SIDE)) - MIDDLE
    # a cubic spline holds planes exactly
    plane = SOFTENING * np.sinh(3 + 0.05 * x - 0.02 * y)
    pixels, share = holed(plane, slice(19, 22), slice(19, 22))
    whole, n_bad = filled_in(pixels, share, SOFTENING)
    assert n_bad == 9
    np.testing.assert_allclose(whole, plane, rtol=1e-6)


def test_holes_outside_the_core_stay(galaxy):
    pixels, share = holed(galaxy, slice(2, 5), slice(2, 5))
    whole, n_bad = filled_in(pixels, share, SOFTENING)
    assert n_bad == 0
    np.testing.assert_array_equal(whole, pixels)


def test_pixels_that_are_partly_bad_count_and_are_not_replaced(galaxy):
    share = np.ones_like(galaxy)
    share[20, 20] = 0.8
    whole, n_bad = filled_in(galaxy, share, SOFTENING)
    assert n_bad == 1
    np.testing.assert_array_equal(whole, galaxy)


def test_a_core_without_good_pixels_around_stays_empty(galaxy):
    pixels, share = holed(galaxy, slice(None), slice(None))
    whole, n_bad = filled_in(pixels, share, SOFTENING)
    assert n_bad > 60
    assert not whole.any()
