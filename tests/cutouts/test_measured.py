"""The bounds of what was measured, flag by flag, on plain sky."""

import numpy as np
import pytest

from lensdream.cutouts.measured import cover_flags, middle_of, pixel_flags, rms_flags, with_data
from lensdream.instrument import EUCLID, Band

SIDE = 80
SKY = EUCLID.sky_sigma[Band.VIS]


def sky(scatter=1.0, level=0.1):
    """Empty sky (SIDE, SIDE) in VIS [microjansky a pixel]; scatter and level in the survey's scatters."""
    return SKY * (level + scatter * np.random.default_rng(3).normal(size=(SIDE, SIDE)))


def flags(pixels, area=1.0):
    return pixel_flags("VIS", Band.VIS, pixels, with_data(pixels, None), 64, area)


@pytest.mark.parametrize("scatter", [0.3, 1.0, 4.0])
def test_sky_within_a_factor_of_the_surveys_has_no_flag(scatter):
    assert flags(sky(scatter)) == []


@pytest.mark.parametrize("scatter", [0.05, 20.0])
def test_the_scatter_beyond_a_factor_of_six_is_flagged_with_its_value(scatter):
    flag, *others = flags(sky(scatter))
    name, value = flag.split(":")
    # with such a scatter some pixels lie below what training has
    assert [other.split(":")[0] for other in others] == (["negative_VIS"] if scatter > 6 else [])
    assert name == "noise_VIS"
    assert float(value) == pytest.approx(scatter, rel=0.2)


@pytest.mark.parametrize("level", [5.0, -5.0])
def test_a_sky_level_out_of_training_is_flagged_with_its_sign(level):
    (flag,) = flags(sky(level=level))
    name, value = flag.split(":")
    assert name == "sky_VIS"
    assert float(value) == pytest.approx(level, rel=0.2)


def test_a_constant_image_is_flagged():
    assert flags(np.full((SIDE, SIDE), 0.1 * SKY)) == ["constant:VIS"]


def test_pixels_that_no_detector_gives_are_counted():
    pixels = sky()
    pixels[40, 40:43] = 2e5 * SKY
    pixels[30, 30:32] = -50 * SKY
    assert flags(pixels) == ["saturated_VIS:3", "negative_VIS:2"]


def test_a_plateau_of_four_equal_pixels_is_saturation_and_three_are_chance():
    for n, expected in ((3, []), (4, ["saturated_VIS:4"])):
        pixels = sky()
        pixels[40, 40 : 40 + n] = 100 * SKY
        assert flags(pixels) == expected


def test_pixels_outside_of_what_a_network_takes_do_not_count():
    pixels = sky()
    pixels[2, 2] = 2e5 * SKY
    assert flags(pixels) == []
    rows, columns = middle_of(pixels, 64)
    assert (rows, columns) == (slice(8, 72), slice(8, 72))


def test_too_little_cover_is_flagged_with_its_share():
    data = np.ones((64, 64), bool)
    assert cover_flags("VIS", Band.VIS, data, 1.0) == []
    assert cover_flags("VIS", Band.VIS, data, 0.9) == ["covered_VIS:0.9"]
    data[:8] = False
    assert cover_flags("VIS", Band.VIS, data, 1.0) == ["covered_VIS:0.88"]
    # a whole infrared band may be missing, as in training
    assert cover_flags("NIR_Y", Band.Y, data, 1.0) == []
    assert cover_flags("NIR_Y", Band.Y, data, 0.9) == ["covered_NIR_Y:0.9"]


def test_zeros_and_pixels_half_without_data_hold_none():
    pixels, share = np.array([[0.0, 1.0, 1.0]]), np.array([[1.0, 0.5, 0.6]])
    assert with_data(pixels, None).tolist() == [[False, True, True]]
    assert with_data(pixels, share).tolist() == [[False, False, True]]


def test_an_rms_map_beside_the_surveys_is_flagged():
    assert rms_flags("VIS", Band.VIS, np.full(100, SKY), 1.0) == []
    assert rms_flags("VIS", Band.VIS, np.empty(0), 1.0) == []
    assert rms_flags("VIS", Band.VIS, np.full(100, 0.1 * SKY), 1.0) == ["rms_VIS:0.1"]
    # four input pixels of half the side add up to twice the scatter of one
    assert rms_flags("VIS", Band.VIS, np.full(100, 0.1 * SKY), 2.0) == []
    odd = np.full(100, SKY)
    odd[:3] = 2000 * SKY
    assert rms_flags("VIS", Band.VIS, odd, 1.0) == ["odd_rms_VIS:3"]
