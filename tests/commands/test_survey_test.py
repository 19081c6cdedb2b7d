"""Finder and baselines on the same targets, within survey-test; tests/pipeline has the whole stage."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch

from conftest import SURVEY, SURVEY_POPULATION, SURVEY_SIMULATE
from lensdream.commands.paths import Paths
from lensdream.commands.survey_test import compared_networks
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.model_file import save_model
from lensdream.networks.ou import OU66, OUConfig


def test_the_networks_that_were_trained_are_compared_on_the_same_targets(few_catalogs, tmp_path):
    paths = Paths("tiny", tmp_path)
    torch.manual_seed(3)
    save_model(paths.model, LensNet(LensNetConfig(4)), SURVEY_SIMULATE.stamp)
    save_model(paths.baselines / "ou66", OU66(OUConfig()), SURVEY_SIMULATE.stamp)
    (paths.baselines / "ou67").mkdir()  # was never trained
    survey = dataclasses.replace(SURVEY, n_peers=100)
    with pytest.raises(FileNotFoundError, match=r"no .*test\.parquet: run the evaluate stage first"):
        compared_networks(SURVEY_POPULATION, SURVEY_SIMULATE, survey, paths)
    paths.scores.mkdir(parents=True)
    lenses = {"split": "test", "label": 1, "survey_logit": np.arange(30.0), "logit_ou66": np.arange(30.0)}
    pd.DataFrame(lenses).to_parquet(paths.scores / "test.parquet")
    compared_networks(SURVEY_POPULATION, SURVEY_SIMULATE, survey, paths)
    found = json.loads(paths.metrics("survey-peers").read_text())
    assert (found["n"], found["n_lens"]) == (100, 30)
    assert set(found) == {"n", "n_lens", "lensnet", "ou66"}
    scores = pd.read_parquet(paths.scores / "survey-peers.parquet")
    assert scores["family"].value_counts()["field"] == 38
    assert not np.allclose(scores["logit_lensnet"], scores["logit_ou66"])
    assert found["lensnet"]["tpr_at_fpr_1e-2"]["value"] is not None
    assert found["lensnet"]["tpr_at_fpr_1e-3"]["value"] is None  # a tenth of a non-lens stands for it
    assert found["ou66"]["missed_at_fpr_1e-3_ratio"]["value"] is None
