"""Images to FITS and back; the export of a store."""

import hashlib
import json

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from lensdream.cutouts.bands import Origin
from lensdream.cutouts.export import export_fits, write_cutout
from lensdream.cutouts.reader import read_cutout
from lensdream.dataset.store import SCHEMA_VERSION, ImageStore, StoreError
from lensdream.instrument import EUCLID, Band

STAMP = 24


@pytest.fixture
def image():
    sky = np.array(EUCLID.sky_sigma)[:, None, None]
    return (np.random.default_rng(0).normal(0.1, 2, (4, STAMP, STAMP)) * sky).astype(np.float32)


@pytest.fixture
def store(tmp_path, image):
    """A store of two families."""
    folder = tmp_path / "store"
    folder.mkdir()
    families = ["lens", "spiral", "lens", "lens"]
    truth = pd.DataFrame(
        {"index": range(10, 14), "family": families, "split": "test", "label": [1, 0, 1, 1], "z_source_2": np.nan}
    )
    truth.to_parquet(folder / "truth.parquet")
    images = np.stack([image * (1 + k) for k in range(4)]).astype(np.float16)
    np.save(folder / "images-00000.npy", images)
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    manifest = {
        "schema_version": SCHEMA_VERSION, "bands": [band.name for band in Band], "n": 4, "stamp": STAMP,
        "shard_size": 500, "sha256": files,
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder, images


def test_an_exported_image_reads_back_as_it_was(tmp_path, image):
    write_cutout(tmp_path / "a" / "image.fits", image, "an image", {"FAMILY": "lens", "Z_LENS": 0.5, "Z_SRC": np.nan})
    cutout = read_cutout(tmp_path / "a" / "image.fits", STAMP)
    np.testing.assert_allclose(cutout.image, image, rtol=3e-7)
    assert (cutout.flags, cutout.origin, cutout.object) == ((), Origin.SIMULATION, "an image")
    assert not list(tmp_path.rglob("*.part"))


def test_layout_is_euclids(tmp_path, image):
    write_cutout(tmp_path / "image.fits", image, "an image", {"FAMILY": "lens"}, centre=(150.0, -2.0))
    with fits.open(tmp_path / "image.fits") as units:
        assert [unit.name for unit in units] == ["PRIMARY"] + [
            f"{band}_{kind}" for band in ("VIS", "NIR_Y", "NIR_J", "NIR_H") for kind in ("FLUX", "PSF", "RMS")
        ]
        assert units[0].header["FAMILY"] == "lens"
        for band in EUCLID.bands:
            flux = units[f"{band.fits_name}_FLUX"]
            assert flux.header["MAGZERO"] == band.mosaic_zero_point
            middle = WCS(flux.header).pixel_to_world((STAMP - 1) / 2, (STAMP - 1) / 2)
            assert (middle.ra.deg, middle.dec.deg) == pytest.approx((150.0, -2.0))
            assert units[f"{band.fits_name}_RMS"].data.shape == (STAMP, STAMP)
            psf = units[f"{band.fits_name}_PSF"].data
            assert psf.sum() == pytest.approx(1, abs=1e-5)
            assert np.unravel_index(psf.argmax(), psf.shape) == (psf.shape[0] // 2, psf.shape[0] // 2)


def test_other_shapes_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"got \(3, 5, 5\)"):
        write_cutout(tmp_path / "x.fits", np.zeros((3, 5, 5)), "x")


def test_an_export_writes_the_first_images_of_a_family(store, tmp_path):
    folder, images = store
    files = export_fits(folder, tmp_path / "out", "lens", 2)
    assert [path.name for path in files] == ["lens-0000010.fits", "lens-0000012.fits"]
    for path, row in zip(files, (0, 2), strict=True):
        cutout = read_cutout(path, STAMP)
        np.testing.assert_allclose(cutout.image, images[row].astype(np.float32), rtol=3e-7)
    assert fits.getheader(files[1])["SCENE"] == 12
    assert "Z_SRC_2" not in fits.getheader(files[1])


def test_export_errors_name_the_remedy(store, tmp_path):
    opened = ImageStore.open(store[0])
    with pytest.raises(StoreError, match=r"no family 'ring' .* there are lens \(3\), spiral \(1\)"):
        export_fits(opened, tmp_path / "out", "ring", 1)
    with pytest.raises(StoreError, match="has 3 images, 4 were asked for"):
        export_fits(opened, tmp_path / "out", "lens", 4)
    with pytest.raises(ValueError, match="at least 1"):
        export_fits(opened, tmp_path / "out", "lens", 0)
    assert not (tmp_path / "out").exists()
