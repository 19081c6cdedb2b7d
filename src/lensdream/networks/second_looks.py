"""Second looks: what a network makes of an image in all eight orientations, where the first look was not hopeless."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from lensdream.networks.model_file import load_model

HOPELESS = -3.0
"""logit of the first look below which there is no second: a chance of 5 %, where no threshold of a survey lies"""

LOOKS = 8


class Symmetric(nn.Module):
    """A network's mean logit over the symmetries of the square.

    A sky has no preferred direction, a trained network has: what it says of the eight orientations scatters, and the mean
    errs less. Most of what a survey looks at is no lens at first sight and is looked at once, so it costs little there.
    """

    def __init__(self, network: nn.Module, hopeless: float = HOPELESS) -> None:
        super().__init__()
        self.network = network
        self.hopeless = hopeless

    def forward(self, images: Tensor) -> Tensor:
        """(B, band, y, x) [microjansky a pixel] -> lens logits (B,)."""
        logits = self.network(images)
        (again,) = (logits > self.hopeless).nonzero(as_tuple=True)
        if len(again) == 0:
            return logits
        chosen = images[again]
        total = logits[again]
        for turned in orientations(chosen)[1:]:
            total = total + self.network(turned.contiguous(memory_format=torch.channels_last))
        return logits.index_copy(0, again, total / LOOKS)


def orientations(images: Tensor) -> list[Tensor]:
    """The eight orientations of images (..., y, x), as they are first."""
    return [torch.rot90(mirrored, quarter, (-2, -1)) for mirrored in (images, images.flip(-1)) for quarter in range(4)]


def load_finder(folder: Path) -> Symmetric:
    """The trained network of a folder as it is used on a survey, with second looks; raises what `load_model` does."""
    return Symmetric(load_model(folder)).to(memory_format=torch.channels_last).eval()
