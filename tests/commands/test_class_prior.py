"""The stage that fits the class prior."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from conftest import FINE_TUNING, IN_SURVEY, N_CLASSES, POPULATION, SIMULATE, SURVEY, write_images
from lensdream.commands import class_prior
from lensdream.commands.paths import Paths
from lensdream.commands.timings import timings_of
from lensdream.config import ClassPriorConfig
from lensdream.families import NON_LENS_CLASSES
from lensdream.finder.finder import load_cascade
from lensdream.instrument import Band
from lensdream.networks.lensnet import DeepLensNet, LensNet, LensNetConfig
from lensdream.networks.model_file import save_model
from lensdream.train import class_prior_fit


def test_the_class_prior_stage_writes_prior_and_metrics(few_catalogs, tmp_path, capsys, monkeypatch):
    paths = Paths("tiny", tmp_path)
    settings = ClassPriorConfig(fresh_of_each=20, penalty=0.01, held_out=0.2, seed=1)
    blocks = {
        "class_prior": settings, "second_stage": FINE_TUNING, "population": POPULATION, "simulate": SIMULATE, "survey": SURVEY
    }  # fmt: skip
    document = {name: dataclasses.asdict(block) for name, block in blocks.items()} | {"scales": {"tiny": {}}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(FileNotFoundError, match="run `lensdream train --scale tiny --recipe second_stage` first"):
        class_prior.run("tiny", tmp_path)
    torch.manual_seed(2)
    save_model(paths.model, LensNet(LensNetConfig(4)), 40)  # has learned nothing: its logits are near 0
    save_model(paths.second, DeepLensNet(LensNetConfig(6)), 40)
    truth = pd.DataFrame({"family": np.resize(["lens", "field"], 8), "label": np.resize([1, 0], 8), "split": "train"})
    write_images(paths.images, truth, np.zeros((8, len(Band), 40, 40)))
    fit, fitted_to = class_prior_fit.fit_class_prior, []
    monkeypatch.setattr(
        class_prior,
        "fit_class_prior",
        lambda features, *others: fitted_to.append(len(features)) or fit(features, *others),
    )
    class_prior.run("tiny", tmp_path)
    found = json.loads(paths.metrics("class-prior").read_text())
    assert "seconds" not in found
    assert timings_of("tiny", tmp_path)["class-prior"]["seconds"] > 0
    assert found["let_through"] == dict.fromkeys(NON_LENS_CLASSES, 1.0)
    assert 20 < found["n_held_out"] < 90
    assert fitted_to == [20 * N_CLASSES - found["n_held_out"]]
    assert sum(found["trained_on"].values()) > 1
    assert load_cascade(paths.model, IN_SURVEY).second.prior is not None
    assert "held out" in capsys.readouterr().out
