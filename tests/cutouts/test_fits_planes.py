"""FITS files of all kinds, sound and damaged."""

import gzip

import numpy as np
import pytest
from astropy.io import fits

from cutout_files import STAMP, edited, noise, reason
from lensdream.cutouts.export import write_cutout
from lensdream.cutouts.fits_planes import CutoutError
from lensdream.cutouts.reader import read_cutout
from lensdream.instrument import EUCLID, Band


@pytest.mark.parametrize("keep", [100, 2880, 5000, 40_000, 90_000, -5000, -1])
def test_truncated_files_say_so(euclid, keep):
    path, _ = euclid
    path.write_bytes(path.read_bytes()[:keep])
    message = reason(path)
    assert "truncated" in message or "no extension VIS_FLUX" in message


def test_a_missing_tail_of_padding_is_no_truncation(tmp_path):
    path = tmp_path / "odd.fits"
    write_cutout(path, noise(side=61), "odd")
    before = read_cutout(path, STAMP).image
    path.write_bytes(path.read_bytes()[:-100])
    np.testing.assert_array_equal(read_cutout(path, STAMP).image, before)


def test_gzip_and_damaged_gzip(euclid):
    path, _ = euclid
    packed = path.with_name("packed.fits.gz")
    packed.write_bytes(gzip.compress(path.read_bytes(), 1))
    np.testing.assert_array_equal(read_cutout(packed, STAMP).image, read_cutout(path, STAMP).image)
    packed.write_bytes(packed.read_bytes()[:5000])
    assert "gzip" in reason(packed)


def test_tile_compressed_planes(euclid):
    path, image = euclid

    def change(units):
        return [units[0], *(fits.CompImageHDU(u.data, u.header, name=u.name, quantize_level=64) for u in units[1:])]

    cutout = read_cutout(edited(path, change), STAMP)
    assert np.abs(cutout.image - image[:, 10:50, 10:50]).max() < 0.1 * max(EUCLID.sky_sigma)


@pytest.mark.parametrize("kind", ["int16", "scaled", "float64"])
def test_every_stored_type_of_fits_reads_as_the_same_flux(euclid, kind):
    path, image = euclid

    def change(units):
        unit = units["VIS_FLUX"]
        if kind == "float64":
            unit.data = unit.data.astype(float)
        elif kind == "scaled":
            unit.scale("int16", bscale=1e-6, bzero=0.001)
        else:
            unit.data = np.round(unit.data / 1e-5).astype(np.int16)
            unit.header["MAGZERO"] = EUCLID.bands[Band.VIS].mosaic_zero_point + 12.5

    picture = read_cutout(edited(path, change), STAMP).image[Band.VIS]
    np.testing.assert_allclose(picture, image[Band.VIS, 10:50, 10:50], atol=5e-6)


def test_a_file_that_is_no_fits_is_refused_with_the_reason(tmp_path):
    path = tmp_path / "page.fits"
    assert reason(path) == "no such file"
    path.write_bytes(b"")
    assert reason(path) == "the file is empty"
    path.write_text("<!doctype html><title>404</title>" * 500)
    assert reason(path).startswith("not a FITS file")
    assert "cannot be read" in reason(tmp_path)


def test_a_damaged_card_of_a_compressed_plane_is_a_reason(euclid):
    path, _ = euclid
    packed = edited(
        path, lambda units: [units[0], *(fits.CompImageHDU(u.data, u.header, name=u.name) for u in units[1:])]
    )
    packed.write_bytes(packed.read_bytes().replace(b"ZCMPTYPE", b"XCMPTYPE", 1))
    assert "damaged, fetch the file again" in reason(packed)


def test_damaged_headers_never_raise_anything_else(euclid):
    path, _ = euclid
    whole = bytearray(path.read_bytes())
    rng = np.random.default_rng(3)
    headers = [at for at in range(0, len(whole), 2880) if whole[at : at + 9] in (b"SIMPLE  =", b"XTENSION=")]
    read = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for at in rng.choice(headers, 2):
            for _ in range(3):
                damaged[at + rng.integers(0, 1600)] = rng.integers(32, 127)
        path.write_bytes(damaged)
        try:
            cutout = read_cutout(path, STAMP)
        except CutoutError:
            continue
        assert np.isfinite(cutout.image).all()
        read += 1
    assert read > 50
