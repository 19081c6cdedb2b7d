"""Cutouts in, scores out."""

import math
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch
from astropy.io import fits

from lensdream.commands.score import score_files
from lensdream.cutouts import scoring
from lensdream.cutouts.reader import read_cutout
from lensdream.cutouts.scoring import score_targets
from lensdream.cutouts.sources import Target
from lensdream.finder import operating_points
from lensdream.finder.finder import Finder, load_cascade
from lensdream.finder.operating_points import OperatingPoints
from lensdream.instrument import EUCLID
from lensdream.networks.model_file import save_model
from tiny_finders import POINTS, STAMP, save_tiny_finder, scored, write


@pytest.fixture
def model(tmp_path):
    return save_tiny_finder(tmp_path / "a model")


@pytest.fixture
def files(tmp_path):
    return [write(tmp_path / "cutouts" / f"{seed}.fits", seed) for seed in range(5)]


def test_above_is_not_known_where_the_core_was_not_seen(model, files, tmp_path):
    with fits.open(files[2], mode="update") as units:
        units["VIS_RMS"].data[14:20, 14:20] = 1e16
    with fits.open(files[3], mode="update") as units:
        units["VIS_RMS"].data[16, 16] = 1e16
    operating_points.write(model, OperatingPoints({"fpr_1e-3": -99.0}))
    assert score_files([str(files[0].parent)], tmp_path / "t.parquet", str(model)) == 0
    table = pd.read_parquet(tmp_path / "t.parquet")
    assert table["above_fpr_1e-3"].isna().tolist() == [False, False, True, False, False]
    assert table["above_fpr_1e-3"].dropna().all()
    assert table["flags"][2].endswith("bad_core_VIS:36")
    assert table["flags"][3].endswith("bad_core_VIS:1")
    assert table["logit"].notna().all()


def test_above_a_threshold_is_strictly_above():
    points = OperatingPoints({"fpr_1e-3": 1.5})
    assert [points.above(logit, "fpr_1e-3") for logit in (1.4, 1.5, 1.6)] == [False, False, True]
    assert points.above(2.0, "fpr_1e-4") is None
    assert points.above(math.nan, "fpr_1e-3") is None


def test_images_of_another_shape_are_refused(model):
    finder = Finder.load(model)
    for shape in ((2, 3, STAMP, STAMP), (2, 4, STAMP, STAMP - 1), (STAMP, STAMP)):
        with pytest.raises(
            ValueError, match=f"this model takes \\(n, 4, {STAMP}, {STAMP}\\), bands in the order VIS Y J H"
        ):
            finder.score(np.zeros(shape, np.float32))


def test_a_network_that_gives_no_number_skips(model, files, tmp_path, capsys):
    network = load_cascade(model).first
    with torch.no_grad():
        network.head.bias.fill_(torch.nan)
    save_model(tmp_path / "broken", network, STAMP)
    operating_points.write(tmp_path / "broken", POINTS)
    assert len(scored(files, tmp_path / "broken")) == 0
    assert capsys.readouterr().err.count("logit is nan") == 5


def test_logits_are_the_networks_own_at_any_flux(model):
    finder = Finder.load(model)
    rng = np.random.default_rng(0)
    sky = np.array(EUCLID.sky_sigma, np.float32)[:, None, None]
    for scatter in (0.01, 1, 100, 1e5):
        images = rng.normal(0, scatter, (6, 4, STAMP, STAMP)).astype(np.float32) * sky
        images[:3, 2] = 0
        with torch.inference_mode():
            expected = load_cascade(model)(torch.from_numpy(images)).numpy()
        np.testing.assert_allclose(finder.scores(torch.from_numpy(images)).logit, expected, rtol=1e-4, atol=1e-4)


def test_scoring_stops_with_its_reader(model, files, monkeypatch):
    read = []
    monkeypatch.setattr(scoring, "read_cutout", lambda *target: read.append(target) or read_cutout(*target))
    torch.set_num_threads(3)
    scores = score_targets([Target(path) for path in files * 100], Finder.load(model), batch_size=2)
    next(scores)
    scores.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("cutouts")]
    assert len(read) <= 2 * 9  # four threads have two batches each in store, one was taken
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == 3
