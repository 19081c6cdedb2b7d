"""The observe stage on a small repository of its own."""

import json
import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from astropy.io import fits
from PIL import Image

from conftest import write_images
from lensdream.commands import observe
from lensdream.commands.paths import Paths
from lensdream.cutouts.export import write_cutout
from lensdream.cutouts.scoring import Score
from lensdream.cutouts.sources import Target
from lensdream.finder import operating_points
from lensdream.finder.operating_points import OperatingPoints
from lensdream.instrument import EUCLID
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.model_file import save_model
from lensdream.render.batch import ARC_1

STAMP = 32


EXPLAIN = {
    "seed": 4, "window": 8, "stride": 8, "sky_window": 8, "sky_stride": 8, "chunk": 32, "dream_scenes": 0,
    "dream_steps": 2, "dream_octaves": 2, "dream_octave_scale": 1.4, "dream_jitter": 2, "dream_step_size": 0.25,
    "figures_per_family": 1, "scenes_per_family": 2, "sanity_scenes": 0, "removal_steps": 3, "channel_scenes": 0,
}  # fmt: skip


class Run:
    """What the stage told the tracker."""

    def __init__(self):
        self.values, self.figures = {}, []

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def metrics(self, values):
        self.values |= values

    def figure(self, path):
        self.figures.append(Path(path).name)


@pytest.fixture
def tracked(monkeypatch):
    run = Run()
    monkeypatch.setattr(observe, "timed_run", lambda *arguments, **more: run)
    return run


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.delenv("LENSDREAM_CUTOUTS", raising=False)
    folder = tmp_path / "repository"
    torch.manual_seed(0)
    save_model(folder / "models" / "tiny", LensNet(LensNetConfig(width=4)).eval(), STAMP)
    operating_points.write(folder / "models" / "tiny", OperatingPoints({"fpr_1e-2": -1.0, "fpr_1e-3": 1.0}))
    settings = {
        "observe": {"batch_size": 4, "pictures": 3},
        "explain": EXPLAIN,
        "scales": {"tiny": {}},
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(settings))
    return folder


def write(path, seed=0, side=40):
    sky = np.array(EUCLID.sky_sigma)[:, None, None]
    image = np.random.default_rng(seed).normal(0, 5, (4, side, side)) * sky
    write_cutout(path, image, f"<object $_{seed}$>")
    return path


def hubble(path):
    flux = fits.ImageHDU(np.random.default_rng(0).normal(0, 0.01, (80, 80)).astype(np.float32), name="F814W_FLUX")
    flux.header.update({"PIXSCALE": 0.05, "MAGZERO": 25.94})
    fits.HDUList([fits.PrimaryHDU(), flux]).writeto(path)


def read_json(root):
    return json.loads(Paths("tiny", root).metrics("observe").read_text())


def test_folders_tables_and_pictures(root, tmp_path, tracked, monkeypatch):
    cutouts, outside = Paths("tiny", root).cutouts, tmp_path / "outside"
    write(cutouts / "a.fits", 1)
    write(cutouts / "deep" / "b.fits", 2)
    (cutouts / "bad.fits").write_text("no")
    write(outside / "c.fits", 3)
    hubble(outside / "hst.fits")
    (outside / "field_objects.csv").write_text(
        "id,file,x_pix,y_pix,kind\n7,c.fits,17.0,22.4,galaxy\n8,gone.fits,1,1,x\n"
    )
    monkeypatch.setenv("LENSDREAM_CUTOUTS", f"{outside}:{tmp_path / 'nowhere'}")
    observe.run("tiny", root)
    metrics = read_json(root)
    assert (metrics["n"], metrics["n_skipped"]) == (5, 3)
    assert [row["file"] for row in metrics["files"]] == ["a.fits", "b.fits", "c.fits", "hst.fits", "c.fits"]
    assert [row["kind"] for row in metrics["files"]] == ["cutout"] * 4 + ["field"]
    assert metrics["files"][4]["object"] == "field 7"
    assert metrics["files"][4]["logit"] != metrics["files"][2]["logit"]
    assert metrics["files"][0].keys() == {
        "file", "object", "kind", "probability", "logit", "above_fpr_1e-2", "above_fpr_1e-3", "flags",
    }  # fmt: skip
    assert {row["file"] for row in metrics["skipped"]} == {"bad.fits", "gone.fits", "nowhere"}
    assert {"file": "gone.fits", "reason": "field 8: no such file"} in metrics["skipped"]
    assert (metrics["threshold_fpr_1e-2"], metrics["threshold_fpr_1e-3"]) == (-1.0, 1.0)
    assert str(tmp_path) not in json.dumps(metrics)
    observed = Paths("tiny", root).observed
    assert len(pd.read_csv(observed / "scores.csv")) == 5
    assert tracked.values == {"n": 5, "n_skipped": 3, "n_above_fpr_1e-3": 0}
    assert tracked.figures == ["sheet-01.png"]
    assert Image.open(observed / "sheet-01.png").size[0] > 300
    page = (observed / "page.html").read_text()
    assert "&lt;object" in page
    assert "<object" not in page
    best = max(metrics["files"], key=lambda row: row["logit"])
    assert page.index(f"{best['logit']:.2f}") < page.index("Skipped")
    assert not list(root.rglob("*.part"))


def simulate_lenses(paths):
    """A store of two lenses, their arcs in the middle."""
    truth = pd.DataFrame({"index": [7, 8], "family": "lens", "split": "test"})
    images = np.random.default_rng(0).normal(0, 5, (2, 4, STAMP, STAMP)) * np.array(EUCLID.sky_sigma)[:, None, None]
    masks = np.zeros((2, STAMP, STAMP), np.uint8)
    masks[:, 14:18, 14:18] = ARC_1
    write_images(paths.images, truth, images, masks)


def test_the_highest_cutouts_are_explained_beside_simulated_lenses(root, tracked, monkeypatch):
    paths, drawn = Paths("tiny", root), []
    for seed in range(8):
        write(paths.cutouts / f"{seed}.fits", seed)
    (paths.cutouts / "positions.csv").write_text("id,file,x_pix,y_pix\nA,0.fits,17,22\n")
    simulate_lenses(paths)
    draw = observe.real_cutouts.page
    monkeypatch.setattr(observe.real_cutouts, "page", lambda *given: drawn.append(given) or draw(*given))
    observe.run("tiny", root)
    ((_, names, images, *_, credit),) = drawn
    cutouts = [row for row in read_json(root)["files"] if row["kind"] == "cutout"]
    cutouts.sort(key=lambda row: row["logit"], reverse=True)
    assert names == [row["object"] for row in cutouts[:6]]
    assert images.shape == (6, 4, STAMP, STAMP)
    assert credit == ""  # simulated files owe none
    assert paths.real_lenses.read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in paths.observed.glob("sheet-*")] == ["sheet-01.png"]


@pytest.mark.parametrize("lost", ["images", "cutouts"])
def test_without_images_or_cutouts_an_old_picture_of_maps_goes_and_the_scores_stay(root, tracked, capsys, lost):
    paths = Paths("tiny", root)
    if lost == "images":
        write(paths.cutouts / "a.fits")
        paths.images.mkdir(parents=True)  # as the Makefile leaves it in a fresh clone
    else:
        simulate_lenses(paths)
    paths.observed.mkdir(parents=True)
    paths.real_lenses.write_bytes(b"of an earlier run")
    observe.run("tiny", root)
    assert not paths.real_lenses.exists()
    assert read_json(root)["n"] == (1 if lost == "images" else 0)
    told = capsys.readouterr().out
    assert ("no maps of real cutouts beside simulated lenses: no manifest.json" in told) == (lost == "images")


def test_of_equal_logits_the_first_are_kept():
    def scored(name, logit):
        return Score(Target(Path(name)), None, logit, 0.5, 0.1, None, {})

    highest = observe.Highest(2)
    for name, logit in (("a", 1.0), ("b", 2.0), ("c", 1.0), ("d", 0.5)):
        highest.add(scored(name, logit))
    assert [score.target.path.name for score in highest.in_order()] == ["b", "a"]
    none = observe.Highest(0)
    none.add(scored("a", 1.0))
    assert none.in_order() == []


def test_an_empty_folder_of_cutouts_is_told_and_no_error(root, tracked, capsys):
    observe.run("tiny", root)
    assert "put FITS cutouts into data/cutouts/" in capsys.readouterr().out
    assert read_json(root) == {
        "n": 0, "n_skipped": 0, "threshold_fpr_1e-2": -1.0, "threshold_fpr_1e-3": 1.0, "files": [], "skipped": [],
    }  # fmt: skip
    observed = Paths("tiny", root).observed
    assert len(pd.read_csv(observed / "scores.csv")) == 0
    assert "There is nothing to show" in (observed / "page.html").read_text()
    assert tracked.figures == []


def test_without_thresholds_and_fewer_sheets_than_before(root, tracked):
    cutouts, observed = Paths("tiny", root).cutouts, Paths("tiny", root).observed
    write(cutouts / "a.fits")
    observed.mkdir(parents=True)
    (observed / "sheet-02.png").write_bytes(b"of an earlier run")
    (root / "models" / "tiny" / "operating_points.json").unlink()
    observe.run("tiny", root)
    metrics = read_json(root)
    assert metrics["threshold_fpr_1e-3"] is None
    assert metrics["files"][0]["above_fpr_1e-3"] is None
    assert "The thresholds are not known" in (observed / "page.html").read_text()
    assert [path.name for path in observed.glob("sheet-*")] == ["sheet-01.png"]


def test_a_core_that_was_not_seen_is_above_nothing(root, tracked, monkeypatch):
    path = write(Paths("tiny", root).cutouts / "a.fits")
    with fits.open(path, mode="update") as units:
        units["VIS_FLUX"].data[17:23, 17:23] = np.nan
    points = OperatingPoints({"fpr_1e-2": -99.0, "fpr_1e-3": -99.0})
    monkeypatch.setattr(operating_points, "read_best", lambda folder: points)
    observe.run("tiny", root)
    (row,) = read_json(root)["files"]
    assert (row["above_fpr_1e-2"], row["above_fpr_1e-3"]) == (None, None)
    assert row["flags"].endswith("bad_core_VIS:36")
    assert tracked.values["n_above_fpr_1e-3"] == 0
    assert pd.read_csv(Paths("tiny", root).observed / "scores.csv")["above_fpr_1e-3"].isna().all()


def test_names_that_are_not_utf_8(root, tracked):
    cutouts = Paths("tiny", root).cutouts
    write(cutouts / "a.fits").rename(cutouts / os.fsdecode(b"bad\xff.fits"))
    (cutouts / os.fsdecode(b"worse\xfe.fits")).write_text("no")
    observe.run("tiny", root)
    metrics = read_json(root)
    assert [row["file"] for row in (*metrics["files"], *metrics["skipped"])] == ["bad\\udcff.fits", "worse\\udcfe.fits"]
    assert "worse\\udcfe.fits" in (Paths("tiny", root).observed / "page.html").read_text()


def test_a_threshold_that_nothing_reaches(root, tracked, monkeypatch):
    write(Paths("tiny", root).cutouts / "a.fits")
    points = OperatingPoints({"fpr_1e-2": 0.0, "fpr_1e-3": math.inf})
    monkeypatch.setattr(operating_points, "read_best", lambda folder: points)
    observe.run("tiny", root)
    metrics = read_json(root)
    assert metrics["threshold_fpr_1e-3"] is None
    assert metrics["files"][0]["above_fpr_1e-3"] is False
