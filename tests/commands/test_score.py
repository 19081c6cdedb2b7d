"""The command `lensdream score`: tables, skipped files, exit codes, models."""

import os
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from astropy.io import fits
from astropy.wcs import WCS

from lensdream import cli, tracking
from lensdream.commands import score
from lensdream.commands.score import COLUMNS, score_files
from lensdream.cutouts.reader import read_cutout
from lensdream.cutouts.scoring import score_targets
from lensdream.finder import operating_points
from lensdream.finder.finder import Finder, load_cascade
from lensdream.finder.locate import ModelError
from lensdream.finder.operating_points import OperatingPoints, PointsError
from lensdream.networks.layout import SURVEY_POINTS, digest_of
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.model_file import save_model
from lensdream.networks.ou import OU66, OUConfig
from tiny_finders import POINTS, STAMP, save_tiny_finder, scored, write


@pytest.fixture
def model(tmp_path):
    return save_tiny_finder(tmp_path / "a model")


@pytest.fixture
def files(tmp_path):
    return [write(tmp_path / "cutouts" / f"{seed}.fits", seed) for seed in range(5)]


def test_scores_are_the_networks(model, files):
    table = scored(files, model, batch_size=2)
    assert tuple(table) == COLUMNS
    images = np.stack([read_cutout(path, STAMP).image for path in files])
    with torch.inference_mode():
        logits = load_cascade(model)(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(table["logit"], logits, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(table["probability"], 1 / (1 + np.exp(-logits / 2)), rtol=1e-4)
    assert list(table["above_fpr_1e-3"]) == list(logits > 0)
    assert list(table["object"]) == [f"object {seed}" for seed in range(5)]
    assert list(table["path"]) == [str(path) for path in files]


def test_a_peer_scores_too(files, tmp_path):
    save_model(tmp_path / "peer", OU66(OUConfig()), STAMP)
    images = np.stack([read_cutout(path, STAMP).image for path in files])
    with torch.inference_mode():
        logits = load_cascade(tmp_path / "peer")(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(scored(files, tmp_path / "peer", batch_size=2)["logit"], logits, rtol=1e-4, atol=1e-4)


def test_the_networks_crop_must_lie_in_the_file(model, tmp_path):
    for part, config, side in (("", LensNetConfig(4, middle_pixels=20), 20), ("second", LensNetConfig(4), 32)):
        save_model(model / part, LensNet(config), STAMP)
        operating_points.write(model, POINTS)
        assert Finder.load(model).crop_pixels == side
        assert len(scored([write(tmp_path / "20.fits", side=20)], model)) == (side <= 20)


def test_any_batch_size_gives_the_same(model, files):
    tables = [scored(files, model, batch_size=size) for size in (1, 3, 64)]
    for table in tables[1:]:
        np.testing.assert_allclose(table["logit"], tables[0]["logit"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_table_of_the_command(model, files, tmp_path, suffix, capsys):
    out = tmp_path / "new" / f"table{suffix}"
    assert score_files([str(files[0].parent)], out, str(model)) == 0
    table = pd.read_csv(out) if suffix == ".csv" else pd.read_parquet(out)
    assert tuple(table) == COLUMNS
    assert len(table) == 5
    assert table["above_fpr_1e-3"].dtype in (bool, "boolean")
    assert table["model"].str.startswith(f"{model}@").all()
    assert capsys.readouterr().err == ""
    assert not list(out.parent.glob("*.part"))


def test_one_corrupt_file_among_two_hundred_is_skipped_with_its_reason(model, tmp_path, capsys):
    folder = tmp_path / "many"
    original = write(folder / "000.fits")
    for k in range(1, 200):
        shutil.copy(original, folder / f"{k:03d}.fits")
    (folder / "117.fits").write_bytes(original.read_bytes()[:20_000])
    assert score_files([str(folder)], tmp_path / "table.parquet", str(model)) == 3
    table = pd.read_parquet(tmp_path / "table.parquet")
    assert len(table) == 199
    assert [path[-8:-5] for path in table["path"]] == [f"{k:03d}" for k in range(200) if k != 117]
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "117.fits: truncated" in error


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_name_that_is_not_utf_8_is_written_with_escapes(model, files, tmp_path, suffix, capsys):
    folder = files[0].parent
    with fits.open(files[0]) as units:
        del units[0].header["OBJECT"]
        units.writeto(folder / os.fsdecode(b"bad\xff.fits"))
    (folder / os.fsdecode(b"worse\xfe.fits")).write_text("no")
    out = tmp_path / f"t{suffix}"
    assert score_files([str(folder)], out, str(model)) == 3
    table = pd.read_csv(out) if suffix == ".csv" else pd.read_parquet(out)
    (row,) = table.to_dict("records")[5:]
    assert (row["path"], row["object"]) == (f"{folder}/bad\\udcff.fits", "bad\\udcff")
    assert "worse\\udcfe.fits: not a FITS file" in capsys.readouterr().err


def test_only_bad_files_make_an_empty_table(model, tmp_path, capsys):
    (tmp_path / "bad.fits").write_text("no")
    assert score_files([str(tmp_path / "bad.fits")], tmp_path / "table.parquet", str(model)) == 3
    table = pd.read_parquet(tmp_path / "table.parquet")
    assert tuple(table) == COLUMNS
    assert len(table) == 0
    assert "not a FITS file" in capsys.readouterr().err


def test_an_argument_that_matches_nothing_is_skipped_beside_others(model, files, tmp_path, capsys):
    assert score_files([str(files[0]), str(tmp_path / "gone.fits")], tmp_path / "t.csv", str(model)) == 3
    assert "gone.fits: no such file" in capsys.readouterr().err
    assert len(pd.read_csv(tmp_path / "t.csv")) == 1


@pytest.mark.parametrize(
    ("patterns", "out", "words"),
    [
        (["{root}/nothing/*.fits"], "t.csv", "nothing to score"),
        (["{root}/empty"], "t.csv", "nothing to score"),
        (["{root}/cutouts"], "t.txt", "the suffix is .txt, it must be .csv or .parquet"),
        (["{root}/cutouts"], "table", "the suffix is missing"),
        (["{root}/cutouts"], "folder.csv", "is a folder"),
        (["{root}/cutouts"], "/proc/t.csv", "--out /proc/t.csv: cannot be written ("),
        (["{root}/cutouts"], "cutouts/0.fits/t.csv", "cannot be written (File exists): name another place"),
    ],
)
def test_usage_errors_end_with_two_and_write_nothing(model, files, tmp_path, capsys, patterns, out, words):
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder.csv").mkdir()
    names = [pattern.format(root=tmp_path) for pattern in patterns]
    assert score_files(names, tmp_path / out, str(model)) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / out).is_file()


def test_a_table_of_places_scores_each_place_in_its_file(model, files, tmp_path, capsys):
    """Those on the sky and those in pixels are the same; a bad row costs a row."""
    table, out = files[0].parent / "places.csv", tmp_path / "t.csv"
    with fits.open(files[0]) as units:
        sky = WCS(units["VIS_FLUX"].header).pixel_to_world(17.5, 15.5)
    table.write_text(
        "id,file,x_pix,y_pix,ra_deg,dec_deg\n"
        f"pixel,0.fits,17.5,15.5,,\nsky,0.fits,,,{sky.ra.deg:.12f},{sky.dec.deg:.12f}\nE,0.fits,,20,,\nF,0.fits,,,99,2\n"
    )
    assert score_files([], out, str(model), positions=table) == 3
    rows = pd.read_csv(out)
    assert list(rows["object"]) == ["position pixel", "position sky"]
    assert rows["logit"][0] == pytest.approx(rows["logit"][1], abs=1e-3)
    told = capsys.readouterr().err
    assert f"{table}: id E: file = '0.fits', x_pix = '', y_pix = '20'" in told
    assert "0.fits: position F: the position x = " in told
    assert score_files([str(files[0])], out, str(model), positions=table) == 3
    assert list(pd.read_csv(out)["object"]) == ["object 0", "position pixel", "position sky"]
    assert score_files([], out, str(model), positions=tmp_path / "gone.csv") == 2
    assert "--positions" in capsys.readouterr().err


def test_an_interrupt_leaves_what_is_done_and_says_so(model, files, tmp_path, monkeypatch, capsys):
    def interrupted(targets, *finder, **settings):
        yield from score_targets(targets[:3], *finder, **settings)
        raise KeyboardInterrupt

    monkeypatch.setattr(score, "score_targets", interrupted)
    out = tmp_path / "t.parquet"
    assert cli.main(["score", *map(str, files), "--out", str(out), "--model", str(model)]) == 130
    told = capsys.readouterr().err
    assert f"interrupted: {out}.partial.csv has the rows of 3 of 5 targets, {out} is not written" in told
    assert "go on" not in told
    assert len(pd.read_csv(f"{out}.partial.csv")) == 3
    assert not out.exists()


def test_without_a_name_the_best_model_is_taken(model, files, tmp_path, capsys, monkeypatch):
    root, out, names = tmp_path / "root", tmp_path / "t.csv", [str(files[0])]
    assert score_files(names, out, None, root=root) == 2
    assert "no model: the registry has no champion" in capsys.readouterr().err
    for age, scale in ((100, "quick"), (0, "poster"), (50, "older")):
        shutil.copytree(model, root / "models" / scale)
        os.utime(root / "models" / scale / "model.safetensors", (1e9 - age, 1e9 - age))
    assert score_files(names, out, None, root=root) == 0
    assert pd.read_csv(out)["model"][0].startswith("models/poster@")
    for scale, found in (("quick", 0.3), ("older", 0.9)):
        operating_points.write(root / "models" / scale, OperatingPoints(merit=found))
    (root / "models" / "poster" / "operating_points.json").write_text("not json")
    assert score_files(names, out, None, root=root) == 0
    assert pd.read_csv(out)["model"][0].startswith("models/older@")
    (root / ".dvc").mkdir()
    monkeypatch.setattr(tracking, "has_champion", lambda root: True)
    monkeypatch.setattr(tracking, "pull", lambda name, root: model)
    assert score_files(names, out, None, root=root) == 0
    assert pd.read_csv(out)["model"][0].startswith("champion@")


def test_a_model_is_found_by_folder_and_alias(model, files, tmp_path, capsys):
    out, names = tmp_path / "t.csv", [str(files[0])]
    assert score_files(names, out, "candidate-x", root=tmp_path) == 2
    error = capsys.readouterr().err
    assert "no model 'candidate-x'" in error
    assert "name a folder" in error
    assert score_files(names, out, str(tmp_path / "cutouts"), root=tmp_path) == 2
    assert "no model.safetensors and no model.json" in capsys.readouterr().err


def test_damaged_models_are_usage_errors(model, files, tmp_path, capsys):
    (model / "model.safetensors").write_bytes(b"not weights")
    assert score_files([str(files[0])], tmp_path / "t.csv", str(model)) == 2
    assert "of another model" in capsys.readouterr().err
    (model / "operating_points.json").unlink()
    assert score_files([str(files[0])], tmp_path / "t.csv", str(model)) == 2
    assert "cannot be used" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match="run the train stage"):
        Finder.load(tmp_path / "empty")
    with pytest.raises(ModelError, match="gone': no such folder, and no registry in"):
        Finder.load(tmp_path / "gone", root=tmp_path)


def test_thresholds_of_a_survey_come_before_those_of_the_test_mix(model, files):
    assert operating_points.read_best(model) == POINTS
    survey = OperatingPoints({"fpr_1e-3": -99.0}, 1.5, {"field": 1.0})
    operating_points.write(model, survey, SURVEY_POINTS)
    assert operating_points.read_best(model) == survey
    assert scored(files, model)["above_fpr_1e-3"].all()


def test_without_operating_points(model, files, capsys):
    (model / "operating_points.json").unlink()
    table = scored(files, model)
    assert "run the evaluate stage" in capsys.readouterr().err
    assert table["above_fpr_1e-3"].isna().all()
    np.testing.assert_allclose(table["probability"], 1 / (1 + np.exp(-table["logit"])), rtol=1e-12)


@pytest.mark.parametrize("text", ["[1, 2]", "{", '{"threshold_fpr_1e-3": "high"}', '{"temperature": 0}'])
def test_damaged_operating_points(model, text):
    (model / "operating_points.json").write_text(text.replace("}", f', "model_sha256": "{digest_of(model)}"}}'))
    with pytest.raises(ModelError, match="run the evaluate stage again"):
        Finder.load(model)


def test_points_of_other_weights_are_refused(model, files, tmp_path, capsys):
    save_model(model, LensNet(LensNetConfig(width=4)).eval(), STAMP)
    with pytest.raises(PointsError, match="is of another model than that in .*: run the evaluate stage again"):
        operating_points.read(model)
    assert score_files([str(files[0])], tmp_path / "t.csv", str(model)) == 2
    assert "of another model" in capsys.readouterr().err
