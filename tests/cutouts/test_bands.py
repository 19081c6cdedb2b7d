"""Bands of a file: units, zero points and stand-ins for VIS."""

import numpy as np
import pytest
from astropy.io import fits

from cutout_files import STAMP, edited, hubble, reason
from lensdream.cutouts.bands import Origin
from lensdream.cutouts.reader import read_cutout
from lensdream.instrument import EUCLID, Band, microjansky


def test_assumptions_are_flagged(euclid):
    path, image = euclid

    def change(units):
        del units["VIS_FLUX"].header["MAGZERO"]
        for key in ("CTYPE1", "CTYPE2", "CD1_1", "CD2_2"):
            del units["NIR_Y_FLUX"].header[key]
        return [unit for unit in units if unit.name != "NIR_H_RMS"]

    cutout = read_cutout(edited(path, change), STAMP)
    assert cutout.flags == ("assumed_zero_point:VIS", "assumed_pixel_scale:NIR_Y", "no_rms:NIR_H")
    np.testing.assert_allclose(cutout.image, image[:, 10:50, 10:50], rtol=3e-7)


def test_zero_point_of_the_header_counts(euclid):
    path, image = euclid

    def change(units):
        units["VIS_FLUX"].header["MAGZERO"] = EUCLID.bands[Band.VIS].mosaic_zero_point + 2.5

    flux = read_cutout(edited(path, change), STAMP).image[Band.VIS]
    np.testing.assert_allclose(flux, image[Band.VIS, 10:50, 10:50] / 10, rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "factor"), [("Jy", 1e-6), ("mJy / pix", 1e-3), ("uJy", 1), ("nJy/pixel", 1e3), ("1e-9 Jy", 1e3)]
)
def test_janskys_of_the_header_count_without_a_zero_point(euclid, text, factor):
    path, image = euclid

    def change(units):
        for unit, band in ((units["VIS_FLUX"], Band.VIS), (units["NIR_J_FLUX"], Band.J)):
            unit.data = (image[band] * factor).astype(np.float32)
            units[unit.name.replace("FLUX", "RMS")].data[:] = EUCLID.sky_sigma[band] * factor
            unit.header["BUNIT"] = text
            del unit.header["MAGZERO"]

    cutout = read_cutout(edited(path, change), STAMP)
    assert cutout.flags == ()
    np.testing.assert_allclose(cutout.image, image[:, 10:50, 10:50], rtol=1e-6)


@pytest.mark.parametrize("text", ["electron/s", "ELECTRONS/S", "adu", "MJy/sr", "JYX", "Jy Jy", "Jy^^(", "Jy/0", ""])
def test_units_that_are_no_flux_of_a_pixel_change_nothing(euclid, text):
    def change(units):
        units["VIS_FLUX"].header["BUNIT"] = text

    assert read_cutout(edited(euclid[0], change), STAMP).flags == ()


def test_a_unit_that_gainsays_the_zero_point_is_refused(euclid):
    path, image = euclid

    def change(units, zero_point):
        units["NIR_H_FLUX"].header.update({"BUNIT": "nJy", "MAGZERO": zero_point})

    flux = read_cutout(edited(path, lambda units: change(units, 31.4)), STAMP).image[Band.H]
    unit = microjansky(EUCLID.bands[Band.H].mosaic_zero_point)
    np.testing.assert_allclose(flux, image[Band.H, 10:50, 10:50] * 1e-3 / unit, rtol=1e-6)
    message = reason(edited(path, lambda units: change(units, 31.38)))
    assert "NIR_H_FLUX is 0.001019 microjansky by MAGZERO = 31.38 and 0.001 by BUNIT = nJy" in message
    assert "at most 1% apart is allowed: remove the card that is wrong" in message


def test_hyper_suprime_cam_takes_the_place_of_vis_its_best_band_first(tmp_path):
    counts = np.random.default_rng(2).normal(0, 0.01, (90, 90))
    files = fits.HDUList([fits.PrimaryHDU()])
    for name, factor in (("HSC_Z", 1.0), ("HSC_R", 3.0)):
        flux = fits.ImageHDU((factor * counts).astype(np.float32), name=f"{name}_FLUX")
        flux.header.update({"PIXSCALE": 0.1, "MAGZERO": 30.0})
        files.append(flux)
    files.writeto(tmp_path / "hsc.fits")
    cutout = read_cutout(tmp_path / "hsc.fits", STAMP)
    assert cutout.origin is Origin.SUBARU
    assert {"VIS_from:HSC_R", "no_rms:HSC_R", "missing:NIR_H"} <= set(cutout.flags)
    expected = 3 * counts[25:65, 25:65] * microjansky(30.0)
    np.testing.assert_allclose(cutout.image[Band.VIS], expected, rtol=1e-4, atol=1e-9)


def test_hubble_takes_the_place_of_vis_and_keeps_the_flux(tmp_path):
    counts = np.random.default_rng(1).normal(0, 0.01, (101, 101))
    counts[50, 50] += 5
    cutout = read_cutout(hubble(tmp_path / "hst.fits", counts), STAMP)
    assert cutout.flags == (
        "VIS_from:F814W", "pixel_scale_F814W:0.05", "missing:NIR_Y", "missing:NIR_J", "missing:NIR_H",
    )  # fmt: skip
    assert cutout.origin is Origin.HUBBLE
    assert not cutout.image[1:].any()
    inside = counts[11:91, 11:91]
    expected = inside.reshape(40, 2, 40, 2).sum((1, 3)) * microjansky(25.94)
    np.testing.assert_allclose(cutout.image[Band.VIS], expected, rtol=1e-5, atol=1e-6)
    peak = np.unravel_index(cutout.image[Band.VIS].argmax(), (40, 40))
    assert all(abs(p - 19.5) <= 0.5 for p in peak)
