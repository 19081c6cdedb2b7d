"""The networks that the train command knows: where their settings stand, how each is made of them, and where it goes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from lensdream import config
from lensdream.config import DeepConfig, FitConfig, RecipeConfig, SecondNetworkConfig, TrainConfig
from lensdream.networks import OU66, OU200, DeepLensNet, LensNet, LensNetConfig, OUConfig
from lensdream.networks.model_file import SECOND
from lensdream.paths import Paths

WIDE = "lensnet-wide"


@dataclass(frozen=True)
class Trainee:
    """A network and its training."""

    title: str
    """in figures"""
    stage: str
    """name of its stage, and so of its metrics, figures, checkpoint and run"""
    folder: str
    """of its model, within `models/<scale>`"""
    block: str
    """of its settings in `params.yaml`"""
    settings: type[FitConfig]
    build: Callable[[FitConfig], nn.Module]

    def read_settings(self, scale: str, params: Path) -> FitConfig:
        """Read its settings at a scale."""
        return config.load(self.block, self.settings, scale, params)

    def model(self, paths: Paths) -> Path:
        """Folder of its model."""
        return paths.model / self.folder

    def epochs(self, paths: Paths) -> Path:
        """Table of its epochs."""
        return paths.metrics(self.stage.replace("train", "epochs")).with_suffix(".csv")


def lensnet(settings: TrainConfig) -> LensNet:
    """LensNet of these settings, with random weights."""
    return LensNet(LensNetConfig(settings.width, settings.dropout, settings.middle_pixels))


def deep(settings: DeepConfig) -> DeepLensNet:
    """DeepLensNet of these settings, with random weights."""
    return DeepLensNet(LensNetConfig(settings.width, settings.dropout, settings.middle_pixels))


def ou66(settings: RecipeConfig) -> OU66:
    """OU-66 of these settings, with random weights."""
    return OU66(OUConfig(settings.dropout))


def ou200(settings: RecipeConfig) -> OU200:
    """OU-200 of these settings, with random weights."""
    return OU200(OUConfig(settings.dropout))


TRAINEES = {
    "lensnet": Trainee("LensNet", "train", "", "train", TrainConfig, lensnet),
    "ou66": Trainee("OU-66", "train-ou66", "peers/ou66", "ou66", RecipeConfig, ou66),
    "ou200": Trainee("OU-200", "train-ou200", "peers/ou200", "ou200", RecipeConfig, ou200),
    WIDE: Trainee("LensNet of twice the width", f"train-{WIDE}", f"peers/{WIDE}", WIDE, TrainConfig, lensnet),
}
"""by the name that the command line and the tables use"""

DEEP = Trainee("DeepLensNet", "train-deep", "deep", "deep", DeepConfig, deep)
"""has a stage of its own, for it is shown only what the first network lets through"""


def second_network(start: DeepLensNet) -> Trainee:
    """The network of the second looks: goes on from the weights of another, with the dropout of its own settings."""

    def build(settings: SecondNetworkConfig) -> DeepLensNet:
        model = DeepLensNet(dataclasses.replace(start.config, dropout=settings.dropout))
        model.load_state_dict(start.state_dict())
        return model

    return Trainee("second network", "train-second", SECOND, "second_network", SecondNetworkConfig, build)


def trainee_of(network: str) -> Trainee:
    """Look up a network; raises `ValueError` that lists them all."""
    if network not in TRAINEES:
        raise ValueError(f"no network {network!r}; networks are {', '.join(TRAINEES)}")
    return TRAINEES[network]
