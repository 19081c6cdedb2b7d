"""The part of an image that a network looks at, where it does not look at all of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lensdream.networks.input import Middle

Cut = Callable[[Tensor], Tensor]
"""(B, channel, y, x) -> a rectangle of each, the same one"""


def whole(images: Tensor) -> Tensor:
    """The cut of a network that looks at all of an image."""
    return images


def cut_of(network: nn.Module) -> Cut:
    """What a network cuts out of its images before it looks at them: its first layer, where that is a `Middle`.

    A network may wrap another (`networks.kinds.InShares`).
    """
    first = next((module for module in network.modules() if not any(module.children())), None)
    return first if isinstance(first, Middle) else whole


@dataclass(frozen=True)
class View:
    """A rectangle of images [pixel]."""

    top: int
    left: int
    height: int
    width: int

    @classmethod
    def of(cls, cut: Cut, size: tuple[int, int]) -> View:
        """The rectangle that a cut leaves of images of this height and width."""
        height, width = size
        left_over = cut(torch.arange(height * width).view(1, 1, height, width))[0, 0]
        top, left = divmod(int(left_over[0, 0]), width)
        return cls(top, left, *left_over.shape)

    @property
    def axes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """First pixel and length, of rows and of columns."""
        return (self.top, self.height), (self.left, self.width)

    def cut(self, images: Tensor) -> Tensor:
        """(..., y, x) -> (..., height, width)."""
        return images[..., self.top : self.top + self.height, self.left : self.left + self.width]

    def put_back(self, maps: Tensor, size: tuple[int, int]) -> Tensor:
        """Maps of the rectangle on images of this height and width: (..., height, width) -> (..., y, x), zero around it."""
        found = maps.new_zeros(*maps.shape[:-2], *size)
        self.cut(found).copy_(maps)
        return found
