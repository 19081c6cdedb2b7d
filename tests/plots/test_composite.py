"""The fixed colour scale."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from lensdream.instrument import EUCLID, Band
from lensdream.plots import composite

SKY = np.array(EUCLID.sky_sigma, np.float32)[:, None, None]


def flat(vis: float, y: float, j: float, h: float) -> np.ndarray:
    """Image of one value in each band [sky scatter]."""
    return np.ones((4, 5, 5), np.float32) * np.array([vis, y, j, h], np.float32)[:, None, None] * SKY


def test_composite_is_rgb_between_zero_and_one():
    image = np.random.default_rng(0).normal(0, 300, (4, 9, 7)).astype(np.float16)
    rgb = composite.composite(image)
    assert rgb.shape == (9, 7, 3)
    assert rgb.dtype == np.float32
    assert rgb.min() >= 0
    assert rgb.max() <= 1


def test_more_flux_is_brighter_and_a_scale_of_the_image_itself_is_not_used():
    levels = [composite.composite(flat(s, s, s, s)).mean() for s in (0, 3, 10, 30, 100, 1000)]
    assert levels == sorted(levels)
    hot = flat(3, 3, 3, 3)
    hot[:, 0, 0] = 1e4
    assert np.array_equal(composite.composite(hot)[1:], composite.composite(flat(3, 3, 3, 3))[1:])


def test_h_is_red_and_vis_blue():
    red, blue = composite.composite(flat(2, 20, 20, 60))[0, 0], composite.composite(flat(20, 2, 2, 2))[0, 0]
    assert red[0] > 2 * red[2]
    assert blue[2] > 2 * blue[0]


def test_pixels_that_are_not_finite_look_like_empty_sky():
    image = flat(0, 0, 0, 0)
    image[Band.VIS, 0, 0], image[Band.H, 1, 1] = np.nan, np.inf
    assert np.array_equal(composite.composite(image), composite.composite(flat(0, 0, 0, 0)))


def test_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"\(4, y, x\), got \(3, 5, 5\)"):
        composite.composite(np.zeros((3, 5, 5)))


def test_draw_leaves_a_picture_and_its_title():
    axes = Figure().subplots()
    composite.draw(axes, flat(1, 1, 1, 1), "a scene")
    assert axes.get_title() == "a scene"
    assert len(axes.images) == 1
