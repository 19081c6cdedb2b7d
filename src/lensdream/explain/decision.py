"""Decision of a cascade: which of its networks decides on an image, so that maps are of that one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lensdream.networks.cascade import Cascade

BY_FIRST_STAGE, BY_SECOND_STAGE = "the first stage", "one orientation of the second stage"


@dataclass(frozen=True)
class Decision:
    """Score of an image by the finder, and the network that the maps are of."""

    logit: float
    """lens logit of the finder: mean over the orientations"""
    probability: float
    """calibrated probability of a lens"""
    network: str
    """name of the network that the maps are of"""


@torch.inference_mode()
def is_decided_by_second_stage(cascade: Cascade, image: Tensor) -> bool:
    """Whether an image (band, y, x) [microjansky a pixel] passes the gate to a second stage."""
    return cascade.second is not None and cascade.first(image[None]).item() > cascade.gate


def deciding_network(cascade: Cascade, image: Tensor) -> nn.Module:
    """Second stage for an image (band, y, x) above the gate, else the first; for the image in its own orientation."""
    return cascade.second if is_decided_by_second_stage(cascade, image) else cascade.first
