"""Networks side by side on fresh non-lenses in a survey's proportions: made-up scores, and the whole stage on a small one."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from lensdream.commands import survey_peers as _survey_peers_
from lensdream.commands.paths import Paths
from lensdream.evaluate import survey_baselines
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.model_file import save_model
from lensdream.networks.ou import OU66, OUConfig
from test_survey_test import POPULATION, SIMULATE, SURVEY


def test_each_network_has_its_own_threshold():
    rng = np.random.default_rng(1)
    noise, signal = rng.normal(size=2000), rng.normal(size=500)
    non_lenses = pd.DataFrame({"family": "field", "logit_lensnet": noise, "logit_ou66": 10 * noise})
    lenses = pd.DataFrame({"logit_lensnet": signal + 4, "logit_ou66": 10 * (signal + 3)})
    found = survey_baselines.compared(non_lenses, lenses, dataclasses.replace(SURVEY, bootstrap=50))
    at = np.sort(noise)[-2]  # of 2000 two may lie at or above it
    ours, theirs = ((signal + shift > at).mean() for shift in (4, 3))
    assert found["lensnet"]["tpr_at_fpr_1e-3"]["value"] == pytest.approx(ours, abs=0.05)
    assert found["ou66"]["tpr_at_fpr_1e-3"]["value"] == pytest.approx(theirs, abs=0.05)
    ratio = found["ou66"]["missed_at_fpr_1e-3_ratio"]
    missed = [1 - found[name]["tpr_at_fpr_1e-3"]["value"] for name in ("ou66", "lensnet")]
    assert ratio["value"] == pytest.approx(missed[0] / missed[1])
    assert ratio["low"] < ratio["value"] < ratio["high"]
    assert "missed_at_fpr_1e-3_ratio" not in found["lensnet"]


def test_the_whole_stage(few_catalogs, tmp_path, capsys):
    paths = Paths("tiny", tmp_path)
    torch.manual_seed(3)
    save_model(paths.model, LensNet(LensNetConfig(4)), SIMULATE.stamp)
    save_model(paths.baselines / "ou66", OU66(OUConfig()), SIMULATE.stamp)
    (paths.baselines / "ou200").mkdir()  # was never trained
    blocks = {"population": POPULATION, "simulate": SIMULATE, "survey": dataclasses.replace(SURVEY, n_peers=100)}
    settings = {name: {"shared": dataclasses.asdict(block), "tiny": {}} for name, block in blocks.items()}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings))
    with pytest.raises(FileNotFoundError, match=r"no .*test\.parquet: run the evaluate stage first"):
        _survey_peers_.run("tiny", tmp_path)
    paths.scores.mkdir(parents=True)
    lenses = {"split": "test", "label": 1, "survey_logit": np.arange(30.0), "logit_ou66": np.arange(30.0)}
    pd.DataFrame(lenses).to_parquet(paths.scores / "test.parquet")
    _survey_peers_.run("tiny", tmp_path)
    found = json.loads(paths.metrics("survey-peers").read_text())
    assert (found["n"], found["n_lens"]) == (100, 30)
    assert set(found) == {"n", "n_lens", "lensnet", "ou66"}
    scores = pd.read_parquet(paths.scores / "survey-peers.parquet")
    assert scores["family"].value_counts()["field"] == 38
    assert not np.allclose(scores["logit_lensnet"], scores["logit_ou66"])
    assert found["lensnet"]["tpr_at_fpr_1e-2"]["value"] is not None
    assert found["lensnet"]["tpr_at_fpr_1e-3"]["value"] is None  # a tenth of a non-lens stands for it
    assert found["ou66"]["missed_at_fpr_1e-3_ratio"]["value"] is None
    assert "missed_at_fpr_1e-3_ratio" in capsys.readouterr().out
