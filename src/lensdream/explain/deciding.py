"""Which network of a finder decided on an image, so that its maps are of that one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lensdream.finder.cascade import SecondLooks

FIRST, SECOND = "its first look", "one look of its second network"


class OneLook(nn.Module):
    """One of the looks whose mean is a finder's logit."""

    def __init__(self, network: nn.Module, name: str) -> None:
        super().__init__()
        self.network = network
        self.name = name

    def forward(self, images: Tensor) -> Tensor:
        """(B, band, y, x) [microjansky a pixel] -> lens logits (B,)."""
        # `forward` and no call: `chain_of` then sees the network's own layers.
        logits = self.network.forward(images)
        # One logit an image, or of a network with two, for two shares of non-lenses, the last: the finder's.
        return logits.reshape(logits.shape[0], -1)[:, -1]


@dataclass(frozen=True)
class Verdict:
    """What a finder says of an image."""

    logit: float
    """mean of its looks"""
    probability: float
    """of a lens, calibrated"""
    look: str
    """the one that the maps are of"""


@torch.inference_mode()
def deciding_look(finder: SecondLooks, image: Tensor) -> OneLook:
    """The second network's look where there was one, else the first network's; image (band, y, x), as it lies."""
    if finder.second is not None and finder.network(image[None]).item() > finder.hopeless:
        return OneLook(finder.second, SECOND)
    return OneLook(finder.network, FIRST)
