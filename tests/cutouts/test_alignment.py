"""Whether VIS and the near infrared show the same place."""

from contextlib import ExitStack

import numpy as np
import pytest
from astropy.io import fits

from lensdream.cutouts.alignment import agreement, displacement, shift_to_vis
from lensdream.cutouts.bands import euclid_band
from lensdream.cutouts.export import write_cutout
from lensdream.cutouts.fits_planes import open_planes
from lensdream.instrument import Band

SIDE = 60


def blobs(shift=(0, 0), side=SIDE):
    """Three galaxies of different brightness, moved by `shift` (y, x) [pixel], and a faint even sky."""
    y, x = np.indices((side, side))
    picture = np.full((side, side), 0.01)
    for center_y, center_x, peak in ((20, 22, 5.0), (38, 30, 2.0), (30, 44, 1.0)):
        picture += peak * np.exp(-((y - center_y - shift[0]) ** 2 + (x - center_x - shift[1]) ** 2) / 8)
    return picture + np.random.default_rng(1).normal(0, 0.005, picture.shape)


@pytest.fixture
def planes(tmp_path):
    """Function that gives the planes of VIS and Y as a file with these pictures holds them."""

    def make(vis, other, edit=lambda units: None):
        path = tmp_path / "cutout.fits"
        write_cutout(path, np.stack([vis, other, other, other]), "blobs", centre=(150.0, 2.0))
        with fits.open(path) as units:
            units = fits.HDUList([unit.copy() for unit in units])
        edit(units)
        units.writeto(path, overwrite=True)
        file = opened.enter_context(open_planes(path))
        return euclid_band(file, Band.VIS), euclid_band(file, Band.Y)

    with ExitStack() as opened:
        yield make


def slid(picture, rows, columns):
    """The picture moved, with zeros where nothing comes from."""
    moved = np.zeros_like(picture)
    height, width = picture.shape
    moved[max(rows, 0) : height + min(rows, 0), max(columns, 0) : width + min(columns, 0)] = picture[
        max(-rows, 0) : height + min(-rows, 0), max(-columns, 0) : width + min(-columns, 0)
    ]
    return moved


@pytest.mark.parametrize("move", [(7, 0), (0, -5), (6, 3)])
def test_an_image_that_slid_by_its_strip_of_zeros_is_to_move_back(planes, move):
    vis, other = planes(slid(blobs(), *move), blobs())
    assert displacement(vis, [other]) == (-move[0], -move[1])


def test_a_strip_of_zeros_on_the_right_side_moves_nothing(planes):
    picture = blobs()
    picture[:, :8] = 0
    vis, other = planes(picture, blobs())
    assert displacement(vis, [other]) == (0, 0)


def test_without_a_strip_or_without_another_band_nothing_is_decided(planes):
    vis, other = planes(blobs((5, 0)), blobs())
    assert displacement(vis, [other]) == (0, 0)
    vis, _ = planes(slid(blobs(), 7, 0), blobs())
    assert displacement(vis, []) == (0, 0)


def moved_reference(x, y):
    def edit(units):
        header = units["NIR_Y_FLUX"].header
        header["CRPIX1"] += x
        header["CRPIX2"] += y

    return edit


def test_the_shift_is_that_of_the_world_coordinates(planes):
    # the reference pixel three columns farther right: the content has to move left by three
    vis, other = planes(blobs(), blobs(), moved_reference(3, -2))
    assert shift_to_vis(other, vis) == pytest.approx((2, -3), abs=2e-3)
    vis, other = planes(blobs(), blobs(), moved_reference(0.9, -0.9))
    assert shift_to_vis(other, vis) == (0, 0)


def test_a_mirrored_band_cannot_be_shifted(planes):
    def mirror(units):
        units["NIR_Y_FLUX"].header["CD1_1"] *= -1

    vis, other = planes(blobs(), blobs(), mirror)
    assert shift_to_vis(other, vis) is None


def test_coordinates_far_away_are_a_mistake_and_shift_nothing(planes):
    def far(units):
        units["NIR_Y_FLUX"].header["CRVAL1"] = 10.0

    vis, other = planes(blobs(), blobs(), far)
    assert shift_to_vis(other, vis) == (0, 0)


def test_agreement_is_of_shapes_not_of_brightness():
    vis, other = blobs(), blobs()
    same = agreement(vis, other)
    assert 0.5 < same <= 1
    assert agreement(40 * vis + 3, 0.1 * other - 1) == pytest.approx(same)
    assert agreement(vis, blobs((9, -9))) < 0.5 * same


def test_an_empty_band_agrees_with_nothing():
    assert agreement(blobs(), np.zeros((SIDE, SIDE))) == -1
