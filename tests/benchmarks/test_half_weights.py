"""Rounding a model folder in place: what was measured is written, or nothing."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
import torch

import half_weights
from conftest import EVENLY, random_prior, write_images
from lensdream.finder import operating_points
from lensdream.finder.finder import Finder
from lensdream.finder.operating_points import OperatingPoints, PointsError
from lensdream.instrument import EUCLID
from lensdream.networks.class_prior import save_class_prior
from lensdream.networks.layout import CLASS_PRIOR, SECOND_STAGE, WEIGHTS
from lensdream.networks.lensnet import DeepLensNet, LensNet, LensNetConfig
from lensdream.networks.model_file import save_model
from lensdream.runtime.files import sha256_of

FILES = (WEIGHTS, f"{SECOND_STAGE}/{WEIGHTS}", CLASS_PRIOR.as_posix())
CHANGED = [*FILES[1:]]
"""files of the model below that rounding changes"""


@pytest.fixture
def store(tmp_path):
    sky = np.array(EUCLID.sky_sigma)[:, None, None]
    images = np.random.default_rng(1).normal(0, 3, (12, 4, 32, 32)) * sky
    write_images(tmp_path / "images", pd.DataFrame({"label": np.arange(12) % 2, "split": "test"}), images)
    return tmp_path / "images"


@pytest.fixture
def model(tmp_path):
    """A finder with second stage, class prior and thresholds, in float32; tensors of the second stage alone are large."""
    folder = tmp_path / "model"
    torch.manual_seed(3)
    save_model(folder, LensNet(LensNetConfig(4)).eval(), 32, round_weights=False)
    save_model(folder / SECOND_STAGE, DeepLensNet(LensNetConfig(16)).eval(), 32, round_weights=False)
    save_class_prior(folder, random_prior(128))
    operating_points.write(folder, OperatingPoints({"fpr_1e-2": 0.0}, shares=EVENLY))
    return folder


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["half_weights.py", *map(str, arguments)])
    half_weights.main()
    printed = capsys.readouterr().out
    return json.loads(printed[printed.index("\n{\n") :])


def sums(model):
    return {name: sha256_of(model / name) for name in FILES}


def test_nothing_is_written_unless_it_is_asked_for(store, model, monkeypatch, capsys):
    before = sums(model)
    found = run(monkeypatch, capsys, model, "--images", store)
    assert sums(model) == before
    assert {name: both["before"] for name, both in found["sha256"].items()} == {name: before[name] for name in CHANGED}
    assert (found["images"], found["written"]) == (12, False)
    assert set(found["networks"]) == {".", SECOND_STAGE, "finder"}
    assert found["networks"]["."]["largest_change"] == 0
    assert 0 < found["networks"][SECOND_STAGE]["largest_change"] < found["bound"]
    assert 0 < found["networks"]["finder"]["largest_change"] < found["bound"]


def test_what_was_measured_is_written_and_thresholds_measured_before_are_refused(store, model, monkeypatch, capsys):
    before = sums(model)
    found = run(monkeypatch, capsys, model, "--images", store, "--write")
    assert found["written"] is True
    after = sums(model)
    assert {name: both["after"] for name, both in found["sha256"].items()} == {name: after[name] for name in CHANGED}
    assert [name for name in FILES if after[name] != before[name]] == CHANGED
    assert Finder.unmeasured(model, EVENLY).corrects_prior
    with pytest.raises(PointsError, match="another model"):
        operating_points.read(model)
    again = run(monkeypatch, capsys, model, "--images", store)
    assert again["sha256"] == {}
    assert all(row["largest_change"] == 0 for row in again["networks"].values())


def test_a_network_that_changes_by_more_than_the_bound_is_left_as_it_is(store, model, monkeypatch, capsys):
    steep = DeepLensNet(LensNetConfig(16)).eval()
    with torch.no_grad():
        steep.head.weight.mul_(1e5)
    save_model(model / SECOND_STAGE, steep, 32, round_weights=False)
    save_class_prior(model, random_prior(128))
    before = sums(model)
    with pytest.raises(SystemExit, match=r"more than 0\.02: nothing is written"):
        run(monkeypatch, capsys, model, "--images", store, "--write")
    assert sums(model) == before
