"""Networks that start from trained weights."""

from __future__ import annotations

import dataclasses

from torch import nn

from lensdream.config import WarmStart
from lensdream.networks.lensnet import DeepLensNet, LensNet


def fine_tuned(start: DeepLensNet, settings: WarmStart) -> DeepLensNet:
    """Network with the weights of `start` and the dropout of the settings."""
    model = DeepLensNet(dataclasses.replace(start.config, dropout=settings.dropout))
    model.load_state_dict(start.state_dict())
    return model


def with_new_head(finder: nn.Module, settings: WarmStart) -> LensNet:
    """First stage of the finder with its weights, but for the last layer, which is new and random.

    The features of an image are kept, the lens logit that follows from them is not. Raises `ValueError` for a finder whose
    first stage is no LensNet.
    """
    if not isinstance(finder, LensNet):
        raise ValueError(
            f"the compound head starts from a LensNet, the finder is a {type(finder).__name__}: run the train stage again"
        )
    model = LensNet(dataclasses.replace(finder.config, dropout=settings.dropout))
    last = {f"head.{name}" for name in model.head.state_dict()}
    weights = {name: tensor for name, tensor in finder.state_dict().items() if name not in last}
    model.load_state_dict(weights | {name: model.state_dict()[name] for name in last})
    return model
