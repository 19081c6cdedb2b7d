"""Receptive crop: the part of an image that a network uses, where that is not all of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lensdream.networks.input import CenterCrop

Cut = Callable[[Tensor], Tensor]
"""(B, channel, y, x) -> the same rectangle of each image"""


def whole(images: Tensor) -> Tensor:
    """Receptive crop of a network that uses the whole image."""
    return images


def crop_of(network: nn.Module) -> Cut:
    """Receptive crop of a network: its first layer, where that is a `CenterCrop`, else the whole image.

    A network may wrap another, as `networks.class_prior.SecondStage` does.
    """
    first = next((module for module in network.modules() if not any(module.children())), None)
    return first if isinstance(first, CenterCrop) else whole


@dataclass(frozen=True)
class CropWindow:
    """Rectangle in images [pixel]."""

    top: int
    left: int
    height: int
    width: int

    @classmethod
    def of(cls, cut: Cut, size: tuple[int, int]) -> CropWindow:
        """Rectangle that a crop leaves of images of this height and width."""
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
        """Maps of the rectangle (..., height, width) as maps of images of this height and width (..., y, x), zero outside."""
        found = maps.new_zeros(*maps.shape[:-2], *size)
        self.cut(found).copy_(maps)
        return found
