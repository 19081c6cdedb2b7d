"""The stages that train the second-stage network."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from conftest import FINE_TUNING, MIX, POPULATION, SECOND_FIT, SIMULATE, SURVEY, write_images
from lensdream.commands import train
from lensdream.commands.paths import Paths
from lensdream.config import SecondStageTraining
from lensdream.finder.finder import load_cascade
from lensdream.instrument import Band
from lensdream.networks.layout import images_trained_on
from lensdream.networks.lensnet import DeepLensNet, LensNet, LensNetConfig
from lensdream.networks.model_file import load_model, save_model

DEEP = SecondStageTraining(SECOND_FIT, LensNetConfig(width=6, dropout=0.1, middle_pixels=32), MIX)


def test_the_second_stage_stages_write_networks_and_metrics(few_catalogs, tmp_path):
    """From a store, the first network and settings to the network that the finder's second looks are of."""
    paths = Paths("tiny", tmp_path)
    rng = np.random.default_rng(4)
    label = np.arange(56) % 2
    truth = pd.DataFrame({"label": label, "split": np.repeat(["train", "validation"], [40, 16])})
    truth["family"] = np.where(label, "lens", "field")
    write_images(paths.images, truth, rng.normal(0, 0.01, (56, len(Band), 40, 40)))
    torch.manual_seed(2)
    document = {
        name: dataclasses.asdict(settings)
        for name, settings in {
            "deep": DEEP, "second_stage": FINE_TUNING,
            "population": POPULATION, "simulate": SIMULATE, "survey": SURVEY,
        }.items()
    } | {"scales": {"tiny": {}}}  # fmt: skip
    wider = dataclasses.asdict(dataclasses.replace(SIMULATE, stamp=44))
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(FileNotFoundError, match="run `lensdream train --scale tiny --recipe lensnet` first"):
        train.run("tiny", "deep", tmp_path)
    save_model(paths.model, LensNet(LensNetConfig(4)), 40)  # has learned nothing: its logits are near 0
    with pytest.raises(FileNotFoundError, match="run `lensdream train --scale tiny --recipe deep` first"):
        train.run("tiny", "second_stage", tmp_path)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document | {"simulate": wider}))
    with pytest.raises(ValueError, match="simulate.stamp = 44 is not the 40 pixels .* run the simulate stage again"):
        train.run("tiny", "deep", tmp_path)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document))
    train.run("tiny", "deep", tmp_path)
    assert load_cascade(paths.model).second is None
    deep = load_model(paths.model / "deep")
    assert deep.config == LensNetConfig(width=6, dropout=0.1, middle_pixels=32)
    torch.manual_seed(SECOND_FIT.seed)
    assert not torch.equal(deep.head.weight, DeepLensNet(deep.config).head.weight)

    train.run("tiny", "second_stage", tmp_path)
    second = load_cascade(paths.model).second.network
    assert second.config == dataclasses.replace(deep.config, dropout=0.3)
    moved = (second.head.weight - deep.head.weight).abs().max()
    assert 0 < moved < 2 * SECOND_FIT.learning_rate * 2 * 15  # Adam moves a weight by no more than its rate a step
    for name, folder in (("deep", paths.model / "deep"), ("second", paths.second)):
        measured = json.loads(paths.metrics(f"train-{name}").read_text())
        assert measured["lenses"] + measured["non_lenses"] == measured["images_an_epoch"] == images_trained_on(folder)
        assert 40 < measured["images_an_epoch"] <= 40 + 90
        assert (paths.figures / f"train-{name}" / "losses.png").is_file()
        assert not paths.kept(f"train-{name}").exists()
