"""Second looks: what a network makes of an image in all eight orientations, where the first look was not hopeless."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from lensdream.finder.class_prior import InShares, load_kinds
from lensdream.networks.model_file import KINDS_FILE, SECOND, is_model, load_model
from lensdream.networks.predict import predict

HOPELESS = -3.0
"""logit of the first look below which there is no second: a chance of 5 %, where no threshold of 1e-2 or less lies"""

LOOKS = 8


class SecondLooks(nn.Module):
    """The mean logit of a network over the symmetries of the square; of a second, larger network, where there is one.

    A sky has no preferred direction, a trained network has: what it says of the eight orientations scatters, and the mean
    errs less. Most of what a survey looks at is no lens at first sight and is looked at once, by the first network alone: a
    second one may be several times as slow and costs little there. The mean of both networks is worse than the better of
    them.
    """

    def __init__(self, network: nn.Module, second: nn.Module | None = None, hopeless: float = HOPELESS) -> None:
        super().__init__()
        self.network = network
        self.second = second
        self.hopeless = hopeless

    def forward(self, images: Tensor) -> Tensor:
        """(B, band, y, x) [microjansky a pixel] -> lens logits (B,), for the shares of non-lenses it was loaded for."""
        return self.in_both_shares(images)[:, 1]

    def in_both_shares(self, images: Tensor) -> Tensor:
        """(B, band, y, x) [microjansky a pixel] -> lens logits (B, 2): for the shares of training, and as `forward`.

        They are the same where the second network has no others, and where there is no second look.
        """
        first = self.network(images)
        (again,) = (first > self.hopeless).nonzero(as_tuple=True)
        if len(again) == 0:
            return _twice(first)
        turned = [image.contiguous(memory_format=torch.channels_last) for image in orientations(images[again])]
        alone = self.second is None
        said = [first[again], *map(self.network, turned[1:])] if alone else [self.second(image) for image in turned]
        return _twice(first).index_copy(0, again, _twice(torch.stack(said).mean(0)))


class BothLogits(nn.Module):
    """A finder that gives both of its logits."""

    def __init__(self, finder: SecondLooks) -> None:
        super().__init__()
        self.finder = finder

    def forward(self, images: Tensor) -> Tensor:
        """(B, band, y, x) [microjansky a pixel] -> lens logits (B, 2), see `SecondLooks.in_both_shares`."""
        return self.finder.in_both_shares(images)


def _twice(logits: Tensor) -> Tensor:
    """(B,) or (B, 2) -> (B, 2)."""
    return logits if logits.ndim == 2 else torch.stack([logits, logits], 1)


def orientations(images: Tensor) -> list[Tensor]:
    """The eight orientations of images (..., y, x), as they are first."""
    return [torch.rot90(mirrored, quarter, (-2, -1)) for mirrored in (images, images.flip(-1)) for quarter in range(4)]


def passes(first: nn.Module, images: Tensor, device: torch.device | str = "cpu") -> Tensor:
    """Whether the first look of a network lets an image through; images (N, band, y, x) -> (N,) bool."""
    return predict(first, images, device=device) > HOPELESS


def load_finder(folder: Path, *, alone: bool = False, shares: Mapping[str, float] | None = None) -> SecondLooks:
    """The trained network of a folder with second looks; raises what `load_model` and `load_kinds` do.

    alone: without the second network that the folder may have. shares: those of the kinds of non-lenses that its logits are
    for; None for those of its training, and so for a network whose folder has nothing to tell kinds by.
    """
    second = load_model(folder / SECOND) if is_model(folder / SECOND) and not alone else None
    if second is not None and shares is not None and (folder / KINDS_FILE).is_file():
        second = InShares(second, load_kinds(folder), shares)
    return SecondLooks(load_model(folder), second).to(memory_format=torch.channels_last).eval()
