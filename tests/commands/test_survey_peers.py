"""The survey-peers stage on a small survey."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from conftest import SURVEY, SURVEY_POPULATION, SURVEY_SIMULATE
from lensdream.commands import survey_peers as _survey_peers_
from lensdream.commands.paths import Paths
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.model_file import save_model
from lensdream.networks.ou import OU66, OUConfig


def test_the_survey_peers_stage_compares_trained_networks_alone(few_catalogs, tmp_path, capsys):
    paths = Paths("tiny", tmp_path)
    torch.manual_seed(3)
    save_model(paths.model, LensNet(LensNetConfig(4)), SURVEY_SIMULATE.stamp)
    save_model(paths.baselines / "ou66", OU66(OUConfig()), SURVEY_SIMULATE.stamp)
    (paths.baselines / "empty").mkdir()  # was never trained
    blocks = {
        "population": SURVEY_POPULATION,
        "simulate": SURVEY_SIMULATE,
        "survey": dataclasses.replace(SURVEY, n_peers=100),
    }
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
