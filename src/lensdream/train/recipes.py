"""The networks that the train command knows: where their settings stand, how each is made of them, and where it goes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from lensdream import config
from lensdream.config import CompoundHeadConfig, DeepConfig, FitConfig, RecipeConfig, SecondNetworkConfig, TrainConfig
from lensdream.networks.layout import COMPOUND, SECOND
from lensdream.networks.lensnet import DeepLensNet, LensNet, LensNetConfig
from lensdream.networks.ou import OU66, OU200, OUConfig


def trainee(finder: nn.Module) -> Trainee:
    """The head as a network that is trained like the others; raises `ValueError` for a finder that is no LensNet."""
    if not isinstance(finder, LensNet):
        raise ValueError(
            f"the compound head starts from a LensNet, the finder is a {type(finder).__name__}: run the train stage again"
        )
    return Trainee(
        "LensNet, compound against single lenses",
        "train-compound",
        COMPOUND,
        "compound_head",
        CompoundHeadConfig,
        lambda settings: started_from(finder, settings),
    )


def started_from(finder: LensNet, settings: CompoundHeadConfig) -> LensNet:
    """The finder's network with its weights, but for the last layer, which is new and random.

    What the finder sees in an image is kept; what it concludes, that a lens is a lens, is not what is asked here.
    """
    model = LensNet(dataclasses.replace(finder.config, dropout=settings.dropout))
    last = {f"head.{name}" for name in model.head.state_dict()}
    weights = {name: tensor for name, tensor in finder.state_dict().items() if name not in last}
    model.load_state_dict(weights | {name: model.state_dict()[name] for name in last})
    return model


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
