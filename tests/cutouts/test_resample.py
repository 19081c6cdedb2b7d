"""Resampling onto pixels of 0.1 arcsec keeps flux and place."""

import numpy as np
import pytest

from cutout_files import STAMP, edited, hubble
from lensdream.cutouts.reader import read_cutout
from lensdream.cutouts.resample import read_square, sum_onto, window_around
from lensdream.instrument import Band, microjansky


@pytest.mark.parametrize("scale", [0.03, 0.04, 0.0396, 0.065, 0.13, 0.3])
def test_any_pixel_scale_keeps_the_flux_and_the_place(tmp_path, scale):
    side = round(8 / scale)
    y, x = (np.mgrid[:side, :side] - (side - 1) / 2) * scale
    counts = np.exp(-((x - 0.6) ** 2 + (y + 0.3) ** 2) / (2 * 0.4**2))
    cutout = read_cutout(hubble(tmp_path / "hst.fits", counts, scale), STAMP)
    picture = cutout.image[Band.VIS] / microjansky(25.94)
    assert picture.sum() == pytest.approx(counts.sum(), rel=2e-3)
    y, x = (np.mgrid[:STAMP, :STAMP] - (STAMP - 1) / 2) * 0.1
    # A pixel close to a whole fraction of the grid's may move by half of itself.
    assert (picture * x).sum() / picture.sum() == pytest.approx(0.6, abs=scale / 2 + 0.01)
    assert (picture * y).sum() / picture.sum() == pytest.approx(-0.3, abs=scale / 2 + 0.01)


def test_pixels_of_a_hundredth_more_are_not_resampled(euclid):
    path, image = euclid

    def change(units):
        for unit in units[1:]:
            if "CD1_1" in unit.header:
                unit.header["CD1_1"], unit.header["CD2_2"] = -0.101 / 3600, 0.101 / 3600

    cutout = read_cutout(edited(path, change), STAMP)
    assert cutout.flags == ()
    np.testing.assert_allclose(cutout.image, image[:, 10:50, 10:50], rtol=3e-7)


def test_scale_from_a_turned_coordinate_system(euclid):
    path, _ = euclid

    def change(units):
        header = units["VIS_FLUX"].header
        del header["CD1_1"], header["CD2_2"]
        header["CDELT1"], header["CDELT2"] = -0.05 / 3600, 0.05 / 3600
        header["PC1_1"], header["PC1_2"], header["PC2_1"], header["PC2_2"] = 0.6, -0.8, 0.8, 0.6

    assert "pixel_scale_VIS:0.05" in read_cutout(edited(path, change), 20).flags


def test_half_bad_bins_are_scaled_up(tmp_path):
    counts = np.ones((80, 80))
    counts[0, 0] = np.nan
    counts[2, 2:4], counts[3, 2] = np.nan, np.nan
    picture = read_cutout(hubble(tmp_path / "hst.fits", counts), STAMP).image[Band.VIS] / microjansky(25.94)
    assert picture[0, 0] == pytest.approx(4)
    assert picture[1, 1] == 0
    assert picture[2, 2] == pytest.approx(4)


def test_resampling_weights_share_every_pixel():
    rng = np.random.default_rng(2)
    picture = rng.random((50, 50), np.float32)
    window = window_around(24.5, 24.5, 1.7, 29)
    square = read_square(window, picture.shape, lambda y, x: picture[y, x])
    whole = sum_onto(window, square)
    inside = np.ones(50)
    inside[[0, -1]] = 0.65  # the window reaches from 0.35 to 49.65
    assert whole.sum() == pytest.approx(inside @ picture @ inside, rel=1e-5)
    assert sum_onto(window, np.ones_like(square)) == pytest.approx(1.7**2)
