"""Networks are found by the modules of the package, and a new one is trained with a row of `RECIPES`."""

import json

import numpy as np
import pandas as pd

import lensdream.networks
from conftest import write_images
from lensdream.commands import train
from lensdream.commands.paths import Paths
from lensdream.networks import registry
from lensdream.networks.lensnet import DeepLensNet, LensNet
from lensdream.networks.model_file import load_model
from lensdream.networks.ou import OU66
from lensdream.train.recipes import RECIPES, Recipe

MODULE = '''
"""A network of one layer."""

from dataclasses import dataclass

from torch import nn

from lensdream.config import setting
from lensdream.networks.registry import network


@dataclass(frozen=True)
class LinearConfig:
    """What can be set of it."""

    side: int = setting(32, 8, 512, "of an image", "pixel")


@network(LinearConfig)
class Linear(nn.Module):
    """All pixels of all bands to one logit."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.layer = nn.Linear(4 * config.side**2, 1)

    def forward(self, images):
        return self.layer(images.flatten(1))[:, 0]
'''
PARAMS = """
linear:
  fit: {epochs: 1, threads: 1}
  network: {side: 16}
scales:
  tiny: {networks: {linear: trained}}
"""


def test_the_networks_of_the_package_are_known_by_the_names_of_their_classes():
    found = registry.networks()
    assert {name: known.network for name, known in found.items()} == {
        "DeepLensNet": DeepLensNet, "LensNet": LensNet, "OU66": OU66
    }  # fmt: skip
    for known in found.values():
        assert known.network(known.settings()).config == known.settings()


def test_every_recipe_has_a_network_and_settings():
    for recipe in RECIPES.values():
        assert recipe.network in registry.networks()
        assert recipe.settings_type()


def test_a_network_takes_a_module_and_a_row_of_recipes(tmp_path, monkeypatch):
    folder = tmp_path / "networks"
    folder.mkdir()
    (folder / "linear.py").write_text(MODULE)
    monkeypatch.setattr(registry, "_classes", dict(registry.networks()))
    monkeypatch.setattr(lensdream.networks, "__path__", [*lensdream.networks.__path__, str(folder)])
    monkeypatch.setitem(RECIPES, "linear", Recipe("Linear", "train-linear", "peers/linear", "linear", "Linear"))
    (tmp_path / "params.yaml").write_text(PARAMS)
    paths = Paths("tiny", tmp_path)
    truth = pd.DataFrame({"label": np.arange(24) % 2, "split": np.repeat(["train", "validation"], [16, 8])})
    write_images(paths.images, truth, np.random.default_rng(1).normal(0, 0.01, (24, 4, 16, 16)))
    train.run("tiny", "linear", tmp_path)
    model = load_model(paths.baselines / "linear")
    assert model.config.side == 16
    written = json.loads((paths.baselines / "linear" / "model.json").read_text())
    assert (written["network"], written["config"]) == ("Linear", {"side": 16})
