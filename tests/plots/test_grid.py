"""Grids of small pictures."""

import numpy as np
import pytest

from lensdream.plots import grid


def test_small_pictures_are_enlarged_and_laid_out():
    red, blue = (np.broadcast_to(np.array(c, np.float32), (2, 2, 3)) for c in ((1, 0, 0), (0, 0, 1)))
    half = red.copy()
    half[1] = (0, 1, 0)  # the upper row, as y points upwards
    sheet = grid.laid_out([[red, blue], [half]], side=4, gap=1)
    assert sheet.shape == (9, 9, 3)
    assert (sheet[:4, :4] == red[0, 0]).all()
    assert (sheet[:4, 5:] == blue[0, 0]).all()
    assert (sheet[5:7, :4] == (0, 1, 0)).all()
    assert (sheet[7:, :4] == red[0, 0]).all()
    assert (sheet[5:, 5:] == 1).all()
    with pytest.raises(ValueError, match="a picture of 2 pixels is larger than its place of 1"):
        grid.laid_out([[red]], side=1)


def test_signed_colours_are_symmetric():
    colours = grid.signed(np.array([[-2.0, 0.0], [1.0, 2.0]]))
    assert colours[0, 0, 0] > colours[0, 0, 2]  # red
    assert colours[1, 1, 2] > colours[1, 1, 0]  # blue
    assert (colours[0, 1] > 0.95).all()
    assert np.isfinite(grid.signed(np.zeros((2, 2)))).all()


def test_cutouts_stay_inside_the_image():
    image = np.arange(4 * 8 * 8).reshape(4, 8, 8)
    assert grid.around(image, 0.5, 7.0, 4)[0, 0, 0] == image[0, 0, 4]
    assert grid.around(image, 3.5, 3.5, 4)[0, 0, 0] == image[0, 2, 2]
