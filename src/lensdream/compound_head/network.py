"""The compound head's network: LensNet as the finder has it, with a last layer of its own."""

from __future__ import annotations

import dataclasses

from torch import nn

from lensdream.config import CompoundHeadConfig
from lensdream.networks import LensNet, load_model
from lensdream.networks.model_file import is_model
from lensdream.paths import Paths
from lensdream.trainees import Trainee

FOLDER = "compound"
"""of its model, within `models/<scale>`"""


def trainee(finder: nn.Module) -> Trainee:
    """The head as a network that is trained like the others; raises `ValueError` for a finder that is no LensNet."""
    if not isinstance(finder, LensNet):
        raise ValueError(
            f"the compound head starts from a LensNet, the finder is a {type(finder).__name__}: run the train stage again"
        )
    return Trainee(
        "LensNet, compound against single lenses",
        "train-compound",
        FOLDER,
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


def read_head(paths: Paths) -> nn.Module:
    """The trained head of a scale, in evaluation mode; raises `FileNotFoundError` with the remedy."""
    folder = paths.model / FOLDER
    if not is_model(folder):
        raise FileNotFoundError(
            f"no compound head in {folder}: run `lensdream train-compound --scale {paths.scale}` first"
        )
    return load_model(folder)
