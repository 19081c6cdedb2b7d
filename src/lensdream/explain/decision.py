"""The network of a cascade that decides on an image, so that maps are of that one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lensdream.networks.cascade import Cascade

BY_FIRST_STAGE, BY_SECOND_STAGE = "the first stage", "one orientation of the second stage"


@dataclass(frozen=True)
class Decision:
    """The finder's score of an image, and which of its networks the maps are of."""

    logit: float
    """of the finder: mean over the orientations"""
    probability: float
    """of a lens, calibrated"""
    network: str
    """that the maps are of"""


@torch.inference_mode()
def is_decided_by_second_stage(cascade: Cascade, image: Tensor) -> bool:
    """Whether an image (band, y, x) [microjansky a pixel] passes the gate to a second stage."""
    return cascade.second is not None and cascade.first(image[None]).item() > cascade.gate


def deciding_network(cascade: Cascade, image: Tensor) -> nn.Module:
    """The second stage for an image (band, y, x) above the gate, else the first; of the image as it lies."""
    return cascade.second if is_decided_by_second_stage(cascade, image) else cascade.first
