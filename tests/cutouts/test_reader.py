"""Real files in, the network's images out; every kind of bad file."""

import numpy as np
import pytest
from astropy.io import fits

from cutout_files import STAMP, edited, hubble, noise, reason
from lensdream.cutouts.export import write_cutout
from lensdream.cutouts.reader import PixelPosition, SkyPosition, read_cutout
from lensdream.instrument import EUCLID, Band, microjansky


def test_the_middle_of_a_file_is_read(euclid):
    path, image = euclid
    cutout = read_cutout(path, STAMP)
    assert cutout.image.shape == (4, STAMP, STAMP)
    assert cutout.image.dtype == np.float32
    assert cutout.object == "a galaxy"
    assert cutout.flags == ()
    np.testing.assert_allclose(cutout.image, image[:, 10:50, 10:50], rtol=3e-7)


def test_planes_may_have_any_order_and_foreign_bands_are_ignored(euclid):
    path, _ = euclid

    def change(units):
        foreign = fits.ImageHDU(np.ones((7, 5)), name="HSC_G_FLUX")
        return [units[0], foreign, *units[:0:-1]]

    np.testing.assert_array_equal(read_cutout(edited(path, change), STAMP).image, read_cutout(path, STAMP).image)


def test_pixel_and_sky_positions(euclid):
    path, image = euclid
    for x, y in ((29.5, 29.5), (34.5, 24.5), (34.7, 24.3)):
        cutout = read_cutout(path, 20, PixelPosition(x, y))
        left, low = round(x - 9.5), round(y - 9.5)
        np.testing.assert_allclose(cutout.image, image[:, low : low + 20, left : left + 20], rtol=3e-7)
    same = read_cutout(path, 20, PixelPosition(34.5, 24.5)).image
    with fits.open(path) as units:
        from astropy.wcs import WCS

        sky = WCS(units["VIS_FLUX"].header).pixel_to_world(34.5, 24.5)
    np.testing.assert_array_equal(read_cutout(path, 20, SkyPosition(sky.ra.deg, sky.dec.deg)).image, same)
    assert "outside of the image of 60 x 60" in reason(path, 20, PixelPosition(61, 5))
    assert "outside of the image" in reason(path, 20, SkyPosition(151.0, 2.0))


def test_missing_infrared_is_flagged_zeros(euclid):
    path, _ = euclid
    cutout = read_cutout(edited(path, lambda units: [u for u in units if u.name != "NIR_J_FLUX"]), STAMP)
    assert cutout.flags == ("missing:NIR_J", "no_flux:NIR_J")
    assert not cutout.image[Band.J].any()
    assert cutout.image[Band.H].any()


def test_infrared_without_any_data_is_missing(euclid):
    path, _ = euclid

    def change(units):
        units["NIR_H_RMS"].data[:] = 1e16

    assert read_cutout(edited(path, change), STAMP).flags == ("missing:NIR_H",)


@pytest.mark.parametrize(("left", "band"), [("NIR_Y", Band.Y), ("NIR_H", Band.H)])
def test_a_near_infrared_band_left_alone_is_dropped(euclid, left, band):
    path, image = euclid

    def absent(units):
        return [unit for unit in units if unit.name.startswith(("PRIMARY", "VIS", left))]

    def bad(units):
        for unit in units:
            if unit.name.endswith("RMS") and not unit.name.startswith(("VIS", left)):
                unit.data[:] = 1e16

    lost = [f"missing:{name}" for name in ("NIR_Y", "NIR_J", "NIR_H") if name != left]
    for change in (absent, bad):
        cutout = read_cutout(edited(path, change), STAMP)
        assert cutout.flags == (*lost, f"dropped:{left}", "alone:VIS")
        assert not cutout.image[Band.Y :].any()
        np.testing.assert_allclose(cutout.image[Band.VIS], image[Band.VIS, 10:50, 10:50], rtol=3e-7)


def test_a_file_that_ended_between_two_extensions_is_flagged(euclid):
    path, _ = euclid
    cutout = read_cutout(edited(path, lambda units: [*units[:-3], units["NIR_H_PSF"]]), STAMP)
    assert cutout.flags == ("missing:NIR_H", "no_flux:NIR_H")


def test_bad_pixels_become_sky_and_are_counted(euclid):
    path, image = euclid

    def change(units):
        units["VIS_FLUX"].data[20, 20:24] = np.nan
        units["VIS_FLUX"].data[21, 20] = np.inf
        units["VIS_RMS"].data[22, 20:24] = 1e16
        units["NIR_Y_RMS"].data[23, 20] = 1e8
        units["NIR_Y_RMS"].data[23, 21:23] = np.nan

    cutout = read_cutout(edited(path, change), STAMP)
    assert cutout.flags == (f"bad_pixels_VIS:{9 / STAMP**2:.2g}", f"bad_pixels_NIR_Y:{3 / STAMP**2:.2g}")
    assert not cutout.image[Band.VIS, 10, 10:14].any()
    assert not cutout.image[Band.VIS, 12, 10:14].any()
    assert not cutout.image[Band.Y, 13, 10:13].any()
    assert np.isfinite(cutout.image).all()
    assert (cutout.image[Band.VIS] == 0).sum() == 9
    assert cutout.image[Band.VIS, 11, 11] == pytest.approx(image[Band.VIS, 21, 21], rel=1e-6)


def test_zero_flux_with_a_tiny_rms_is_no_data(euclid):
    path, _ = euclid

    def change(units):
        units["VIS_FLUX"].data[30:34, 30:34] = 0
        units["VIS_RMS"].data[30:34, 30:34] = 1e-4

    assert read_cutout(edited(path, change), STAMP).flags == ("bad_pixels_VIS:0.01", "bad_core_VIS:16")


def galaxy(side=60):
    """Sky and a galaxy in its middle, (band, side, side) [microjansky a pixel]."""
    radius = np.hypot(*(np.indices((side, side)) - (side - 1) / 2))
    return noise(side) + 300 * np.exp(-((radius / 4) ** 2)) * np.array(EUCLID.sky_sigma)[:, None, None]


@pytest.mark.parametrize("band", Band)
@pytest.mark.parametrize(("half", "worst"), [(1, 0.02), (3, 0.1)])
def test_bad_pixels_in_the_core_are_filled_in_and_flagged(tmp_path, half, worst, band):
    image, middle, name = galaxy(), slice(30 - half, 30 + half), EUCLID.bands[band].fits_name
    write_cutout(tmp_path / "whole.fits", image, "a galaxy")

    def change(units):
        units[f"{name}_RMS"].data[middle, middle] = 1e16
        units[f"{name}_FLUX"].data[middle, middle] = -7

    cutout = read_cutout(edited(tmp_path / "whole.fits", change), STAMP)
    n = (2 * half) ** 2
    assert cutout.flags == (f"bad_pixels_{name}:{n / STAMP**2:.2g}", f"bad_core_{name}:{n}")
    assert cutout.bad_core == (n if band == Band.VIS else 0)
    inside = slice(20 - half, 20 + half)
    np.testing.assert_allclose(cutout.image[band, inside, inside], image[band, middle, middle], rtol=worst)


def test_bad_pixels_around_the_core_are_not_filled_in(euclid):
    path, _ = euclid

    def change(units):
        units["VIS_RMS"].data[25:35, 35:37] = 1e16  # 5.5 pixels from the middle
        units["NIR_Y_RMS"].data[29, 29] = 1e16

    cutout = read_cutout(edited(path, change), STAMP)
    assert cutout.bad_core == 0
    assert cutout.flags == ("bad_pixels_VIS:0.012", "bad_pixels_NIR_Y:0.00062", "bad_core_NIR_Y:1")
    assert not cutout.image[Band.VIS, 15:25, 25:27].any()


def test_a_core_without_good_pixels_around_is_left_empty(euclid):
    path, _ = euclid

    def change(units):
        units["VIS_RMS"].data[20:40, 20:40] = 1e16
        units["VIS_RMS"].data[20:40, 30] = 0.01  # one line alone does not tell what is beside it

    cutout = read_cutout(edited(path, change), STAMP)
    assert cutout.flags[1:] == ("bad_core_VIS:70", "covered_VIS:0.76")
    assert (cutout.image[Band.VIS, 10:30, 10:30] != 0).sum() == 20


def test_a_bad_quarter_of_a_core_pixel_is_flagged(tmp_path):
    counts = np.ones((80, 80))
    counts[40, 40] = np.nan
    cutout = read_cutout(hubble(tmp_path / "hst.fits", counts), STAMP)
    assert "bad_core_F814W:1" in cutout.flags
    np.testing.assert_allclose(cutout.image[Band.VIS], 4 * microjansky(25.94), rtol=1e-6)


@pytest.mark.parametrize(("share", "refused"), [(0.29, False), (0.32, True)])
def test_at_most_a_third_of_vis_may_be_bad(euclid, share, refused):
    path, _ = euclid

    def change(units):
        units["VIS_FLUX"].data[10 : 10 + round(share * STAMP)] = np.nan

    if refused:
        assert "of the stamp's VIS pixels are bad, at most 30% may be" in reason(edited(path, change))
    else:
        assert read_cutout(edited(path, change), STAMP).flags[0].startswith("bad_pixels_VIS:0.")


def test_padding_of_a_small_image_and_near_an_edge(tmp_path):
    image = noise(side=30)
    write_cutout(tmp_path / "small.fits", image, "small")
    cutout = read_cutout(tmp_path / "small.fits", STAMP, middle=30)
    share = 1 - (30 / 40) ** 2
    assert cutout.flags == tuple(f"padded_{name}:{share:.2g}" for name in ("VIS", "NIR_Y", "NIR_J", "NIR_H"))
    np.testing.assert_allclose(cutout.image[:, 5:35, 5:35], image, rtol=3e-7)
    assert np.count_nonzero(cutout.image) == image.size
    corner = read_cutout(tmp_path / "small.fits", 20, PixelPosition(3.5, 14.5), middle=8)
    assert corner.flags[0] == "padded_VIS:0.3"
    np.testing.assert_allclose(corner.image[:, :, 6:], image[:, 5:25, :14], rtol=3e-7)


@pytest.mark.parametrize("side", [64, 65, 80])
def test_image_of_what_the_network_looks_at_is_enough(tmp_path, side):
    write_cutout(tmp_path / "small.fits", noise(side=side), "small")
    cutout = read_cutout(tmp_path / "small.fits", 80)
    assert cutout.image[:, 8:72, 8:72].all()


def test_image_below_what_the_network_looks_at_is_refused_with_the_sizes(tmp_path):
    write_cutout(tmp_path / "small.fits", noise(side=54), "small")
    message = reason(tmp_path / "small.fits", 80)
    assert "VIS_FLUX of 54 x 54 pixels holds 54 x 54 of the 64 x 64 pixels" in message
    assert "cut out 64 pixels or more with the object in the middle" in message
    counts = np.random.default_rng(1).normal(0, 0.01, (140, 108))
    message = reason(hubble(tmp_path / "hst.fits", counts), 80)
    assert "F814W_FLUX of 108 x 140 pixels holds 54 x 64 of the 64 x 64 pixels" in message
    assert "cut out 128 pixels or more" in message


def test_a_position_needs_what_the_network_looks_at_around_it(tmp_path):
    write_cutout(tmp_path / "wide.fits", noise(side=100), "wide")
    assert read_cutout(tmp_path / "wide.fits", 80, PixelPosition(31.5, 67.5)).flags[0].startswith("padded_VIS")
    assert "holds 54 x 64 of" in reason(tmp_path / "wide.fits", 80, PixelPosition(21.5, 67.5))
    assert "holds 64 x 51 of" in reason(tmp_path / "wide.fits", 80, PixelPosition(50, 80))


def test_a_vis_image_that_slid_is_moved_back(tmp_path):
    y, x = np.mgrid[:100, :100]
    image = noise(side=100)
    for cy, cx in ((49.5, 49.5), (70, 30), (20, 64), (85, 80)):
        image += 400 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 8) * np.array(EUCLID.sky_sigma)[:, None, None]
    write_cutout(tmp_path / "true.fits", image, "true")

    def slide(units):
        for unit, fill in ((units["VIS_FLUX"], 0), (units["VIS_RMS"], 1e-4)):
            kept = unit.data[
                7:, : 100 - 11
            ].copy()  # 11 columns beyond the mosaic's right edge, 7 rows below its lower one
            unit.data[:] = fill
            unit.data[: 100 - 7, 11:] = kept

    def cut(units):
        for unit, fill in ((units["VIS_FLUX"], 0), (units["VIS_RMS"], 1e-4)):
            unit.data[:7], unit.data[:, 100 - 11 :] = fill, fill

    right = read_cutout(tmp_path / "true.fits", STAMP)
    moved = read_cutout(edited(tmp_path / "true.fits", slide), STAMP)
    assert moved.flags == ("moved_VIS:-11,+7",)
    np.testing.assert_array_equal(moved.image, right.image)
    star = read_cutout(tmp_path / "edited.fits", 20, PixelPosition(30 + 11, 70 - 7))
    np.testing.assert_array_equal(star.image, read_cutout(tmp_path / "true.fits", 20, PixelPosition(30, 70)).image)
    kept = read_cutout(edited(tmp_path / "true.fits", cut), STAMP)
    assert kept.flags == ()
    np.testing.assert_array_equal(kept.image, right.image)


def stars(path, side=100):
    """A file with the same stars in all bands."""
    y, x = np.mgrid[:side, :side]
    image = noise(side)
    for cy, cx in ((49.5, 49.5), (60, 42), (40, 57)):
        image += 400 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 8) * np.array(EUCLID.sky_sigma)[:, None, None]
    write_cutout(path, image, "stars", centre=(150.0, 60.0))
    return path


def infrared(units):
    return [unit for unit in units if unit.name.startswith("NIR") and not unit.name.endswith("PSF")]


def cut_elsewhere(units):
    """The near infrared without its 12 lowest rows and 20 left columns, and coordinates that say so."""
    for unit in infrared(units):
        unit.data = unit.data[12:, 20:].copy()
        if "CRPIX1" in unit.header:
            unit.header["CRPIX1"] -= 20
            unit.header["CRPIX2"] -= 12


def test_a_near_infrared_band_cut_out_elsewhere_is_moved_by_its_coordinates(tmp_path):
    path = stars(tmp_path / "true.fits")
    whole, moved = read_cutout(path, STAMP), read_cutout(edited(path, cut_elsewhere), STAMP)
    assert moved.flags == tuple(f"moved_{name}:+10,+6" for name in ("NIR_Y", "NIR_J", "NIR_H"))
    np.testing.assert_array_equal(moved.image, whole.image)
    place = PixelPosition(57, 41)
    np.testing.assert_array_equal(
        read_cutout(tmp_path / "edited.fits", 20, place).image, read_cutout(path, 20, place).image
    )


def beyond_the_edge(units):
    """The near infrared without its 48 left columns: what VIS has in its middle lies at the very edge."""
    for unit in infrared(units):
        unit.data = unit.data[:, 48:].copy()
        if "CRPIX1" in unit.header:
            unit.header["CRPIX1"] -= 48


def one_small(units):
    for unit in infrared(units):
        if unit.name.startswith("NIR_H"):
            unit.data = unit.data[35:-35, 35:-35].copy()


@pytest.mark.parametrize(("change", "lost"), [(beyond_the_edge, (Band.Y, Band.J, Band.H)), (one_small, (Band.H,))])
def test_a_near_infrared_band_with_too_little_costs_that_band_alone(tmp_path, change, lost):
    path = stars(tmp_path / "true.fits")
    whole, cutout = read_cutout(path, STAMP), read_cutout(edited(path, change), STAMP)
    assert cutout.flags == (
        *(f"small:{EUCLID.bands[band].fits_name}" for band in lost),
        *(["alone:VIS"] if len(lost) == 3 else []),
    )
    for band in Band:
        np.testing.assert_array_equal(cutout.image[band], 0 if band in lost else whole.image[band])


def wrong_place(units):
    """Coordinates that say what is not so."""
    for unit in infrared(units):
        if "CRPIX1" in unit.header:
            unit.header["CRPIX1"] -= 15


def far_away(units):
    units["NIR_Y_FLUX"].header["CRVAL1"] = 330.0
    units["NIR_J_FLUX"].header["CRVAL2"] = "sixty"
    units["NIR_H_FLUX"].header["CTYPE2"] = "DEC--XYZ"


def no_coordinates(units):
    for key in ("CTYPE1", "CTYPE2", "CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2"):
        del units["NIR_H_FLUX"].header[key]


def trimmed(units):
    """The same place in the middle of less."""
    for unit in infrared(units):
        unit.data = unit.data[10:-10, 10:-10].copy()
        if "CRPIX1" in unit.header:
            unit.header["CRPIX1"] -= 10
            unit.header["CRPIX2"] -= 10


@pytest.mark.parametrize("change", [wrong_place, far_away, no_coordinates, trimmed])
def test_coordinates_do_not_move_what_agrees_with_vis(tmp_path, change):
    path = stars(tmp_path / "true.fits")
    cutout = read_cutout(edited(path, change), STAMP)
    assert not any(flag.startswith(("moved", "turned", "missing")) for flag in cutout.flags)
    np.testing.assert_array_equal(cutout.image, read_cutout(path, STAMP).image)


def quarter_turn(header):
    step = header["CD2_2"]
    header["CD1_1"], header["CD1_2"], header["CD2_1"], header["CD2_2"] = 0.0, step, step, 0.0


def mirror(header):
    header["CD1_1"] = -header["CD1_1"]


@pytest.mark.parametrize("turn", [quarter_turn, mirror])
def test_a_band_that_is_turned_against_vis_is_dropped(tmp_path, turn):
    path = stars(tmp_path / "true.fits")
    cutout = read_cutout(edited(path, lambda units: turn(units["NIR_J_FLUX"].header)), STAMP)
    assert cutout.flags == ("turned:NIR_J",)
    assert not cutout.image[Band.J].any()

    def all_alike(units):
        for unit in units:
            if "CD1_1" in unit.header:
                turn(unit.header)

    assert read_cutout(edited(path, all_alike), STAMP).flags == ()


def test_native_near_infrared_pixels_lie_where_their_coordinates_say(tmp_path):
    path = stars(tmp_path / "true.fits", side=102)

    def change(units):
        for unit in infrared(units):
            unit.data = unit.data.reshape(34, 3, 34, 3).sum((1, 3))[:, 5:].copy()
            if "CRPIX1" in unit.header:
                header = unit.header
                header["CD1_1"], header["CD2_2"] = 3 * header["CD1_1"], 3 * header["CD2_2"]
                header["CRPIX1"] = (header["CRPIX1"] - 0.5) / 3 + 0.5 - 5
                header["CRPIX2"] = (header["CRPIX2"] - 0.5) / 3 + 0.5

    cutout = read_cutout(edited(path, change), STAMP)
    assert cutout.flags[:2] == ("moved_NIR_Y:+2,+0", "pixel_scale_NIR_Y:0.3")
    light = [np.clip(cutout.image[band] - 5 * EUCLID.sky_sigma[band], 0, None) for band in (Band.VIS, Band.Y)]
    y, x = np.indices((STAMP, STAMP))
    places = [(np.average(y, weights=weights), np.average(x, weights=weights)) for weights in light]
    np.testing.assert_allclose(places[1], places[0], atol=0.2)


def without_vis(units):
    return [unit for unit in units if unit.name != "VIS_FLUX"]


def all_zeros(units):
    for unit in units[1:]:
        unit.data[:] = 0


def vis_zeros(units):
    units["VIS_FLUX"].data[:] = 0


def one_axis(units):
    units["VIS_FLUX"].data = units["VIS_FLUX"].data[0]


def three_axes(units):
    units["NIR_Y_FLUX"].data = units["NIR_Y_FLUX"].data[None]


def empty(units):
    units["VIS_FLUX"].data = None


def other_rms(units):
    units["VIS_RMS"].data = units["VIS_RMS"].data[:-1]


def wild_zero_point(units):
    units["VIS_FLUX"].header["MAGZERO"] = -99.0


def worded_zero_point(units):
    units["VIS_FLUX"].header["MAGZERO"] = "unknown"


def huge_pixels(units):
    units["VIS_FLUX"].header["CD1_1"] = 1.0


def too_bright(units):
    units["VIS_FLUX"].data = units["VIS_FLUX"].data.astype(float)
    units["VIS_FLUX"].data[30, 30] = 1e60


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            without_vis,
            "no extension VIS_FLUX or F814W_FLUX or HSC_I_FLUX or HSC_R_FLUX or HSC_Z_FLUX or HSC_G_FLUX; "
            "there are VIS_PSF",
        ),
        (all_zeros, "no data"),
        (vis_zeros, "VIS has no data"),
        (one_axis, r"VIS_FLUX has the shape (60,)"),
        (three_axes, "NIR_Y_FLUX has the shape (1, 60, 60)"),
        (empty, "VIS_FLUX has the shape ()"),
        (other_rms, "they must be equal"),
        (wild_zero_point, "MAGZERO of VIS_FLUX is -99"),
        (worded_zero_point, "'unknown', not a number"),
        (huge_pixels, "at most 1"),
        (too_bright, "VIS_FLUX holds values beyond the range of float32"),
    ],
)
def test_bad_contents_are_refused_by_name(euclid, change, words):
    assert words in reason(edited(euclid[0], change))
