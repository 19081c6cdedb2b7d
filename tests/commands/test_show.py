"""A look at a store: every family in its row, real cutouts below."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from conftest import write_images
from lensdream.cli import main
from lensdream.commands import show
from lensdream.cutouts.export import write_cutout
from lensdream.cutouts.fits_planes import CutoutError
from lensdream.dataset.store import ImageStore, StoreError
from lensdream.instrument import EUCLID, Band
from lensdream.plots import contact_sheet
from lensdream.plots.contact_sheet import Row
from lensdream.plots.encoded import png

STAMP = 32
COUNTS = {"double_ring": 2, "star": 1, "lens": 12, "quasar": 3}
PANEL = 160


@pytest.fixture
def write_store(tmp_path):
    """Writes a store of these families into a folder: write_store({family: n}) -> its folder."""

    def written(counts):
        folder = tmp_path / "images"
        family = np.repeat(list(counts), list(counts.values()))
        truth = pd.DataFrame({"index": np.arange(len(family)), "family": family, "split": "test", "label": 1})
        truth = truth.assign(theta_E_1=0.8, theta_E_2=0.0, arc_snr_1=30.0, arc_snr_2=0.0)
        images = np.random.default_rng(1).normal(size=(len(truth), len(Band), STAMP, STAMP))
        images *= np.array(EUCLID.sky_sigma)[:, None, None]
        write_images(folder, truth, images)
        return folder

    return written


@pytest.fixture
def cutouts(tmp_path):
    """A folder of cutouts, one of them damaged."""
    folder = tmp_path / "cutouts"
    image = np.random.default_rng(2).normal(size=(len(Band), STAMP, STAMP)).astype(np.float32)
    image *= np.array(EUCLID.sky_sigma, np.float32)[:, None, None]
    for k in range(3):
        write_cutout(folder / f"{k}.fits", image, f"$object_{k}$ with a name that is too long", {})
    (folder / "damaged.fits").write_bytes(b"SIMPLE  =")
    return folder


def test_every_family_has_a_row_in_its_order(write_store):
    store = ImageStore.open(write_store(COUNTS))
    rows = show.rows_of_store(store, 8)
    assert [row.name for row in rows] == ["lens", "star", "double ring", "quasar"]
    assert [row.note for row in rows] == ["12 images", "1 image", "2 images", "3 images"]
    assert [len(row.images) for row in rows] == [8, 1, 2, 3]
    assert rows[0].titles == ("θ 0.80″  S/N 30",) * 8
    assert rows[1].titles == ()


def test_the_seed_chooses(write_store):
    store = ImageStore.open(write_store(COUNTS))
    first, again, other = (show.rows_of_store(store, 4, seed, ["lens"])[0].images for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.array_equal(show.rows_of_store(store, 4, 1)[0].images, first)  # whatever else is shown


def test_a_family_that_is_not_there_is_named_with_those_that_are(write_store):
    store = ImageStore.open(write_store(COUNTS))
    with pytest.raises(StoreError, match=r"no family 'ring', 'nova' in .*; there are lens \(12\), quasar \(3\)"):
        show.rows_of_store(store, 8, families=["ring", "nova", "star"])


def test_an_empty_store_and_an_impossible_number_are_refused(write_store):
    store = ImageStore.open(write_store({}))
    with pytest.raises(StoreError, match="has no images: raise the numbers under population"):
        show.rows_of_store(store, 8)
    for n in (0, 101):
        with pytest.raises(ValueError, match=f"{n} images a family cannot be drawn: ask for 1 to 100"):
            show.rows_of_store(store, n)


def test_rows_of_any_length_are_drawn(tmp_path):
    images = np.zeros((3, len(Band), STAMP, STAMP))
    rows = [Row("many", "3 images", images, ("a", "$b", "c")), Row("one", "", images[:1])]
    (tmp_path / "sheet.png").write_bytes(png(contact_sheet.draw(rows)))
    height, width, _ = imread(tmp_path / "sheet.png").shape
    assert 2 * PANEL < height < 3 * PANEL
    assert 3 * PANEL < width < 5 * PANEL


def test_real_cutouts_come_last_and_damaged_ones_are_named(cutouts):
    skipped = []
    rows = show.rows_of_cutouts([str(cutouts)], STAMP, 2, 0, lambda path, reason: skipped.append((path.name, reason)))
    assert [row.name for row in rows] == ["real", ""]
    assert [len(row.images) for row in rows] == [2, 1]
    assert rows[0].note.startswith("3 of 4 cutouts")
    assert rows[0].titles[0] == "$object_0$ with a name …"
    assert [name for name, _ in skipped] == ["damaged.fits"]


def test_of_many_cutouts_a_few_are_drawn(cutouts, monkeypatch):
    monkeypatch.setattr(show, "MOST_ROWS", 1)
    rows = show.rows_of_cutouts([str(cutouts)], STAMP, 2, 0, lambda path, reason: None)
    assert [len(row.images) for row in rows] == [2]


def test_no_cutouts_are_a_clear_error(cutouts, tmp_path):
    with pytest.raises(CutoutError, match=r"no FITS file in .*nothing: name folders"):
        show.rows_of_cutouts([str(tmp_path / "nothing")], STAMP, 2, 0, lambda path, reason: None)
    with pytest.raises(CutoutError, match="none of 1 cutouts can be read"):
        show.rows_of_cutouts([str(cutouts / "damaged.fits")], STAMP, 2, 0, lambda path, reason: None)


def test_the_command_writes_the_picture(write_store, cutouts, tmp_path, capsys):
    folder, out = write_store(COUNTS), tmp_path / "new" / "sheet.png"
    assert main(["dataset", "show", str(folder), "--out", str(out), "--per-family", "4", "--seed", "3"]) == 0
    assert f"10 images in {out}" in capsys.readouterr().out
    before = imread(out).shape
    arguments = ["dataset", "show", str(folder), "--out", str(out), "--per-family", "4", "--beside", str(cutouts)]
    assert main(arguments) == 3
    assert "skipped" in capsys.readouterr().err
    assert imread(out).shape[0] > before[0] + PANEL
    assert main(["dataset", "show", str(folder), "--out", str(out), "--family", "nova"]) == 2
    assert "no family 'nova'" in capsys.readouterr().err
