"""LensNet, a small residual network, fast on a CPU; its `nn.ReLU` modules keep guided backpropagation true."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lensdream.config import LensNetConfig
from lensdream.instrument import N_BANDS
from lensdream.networks.input import CenterCrop, InputTransform
from lensdream.networks.registry import network


@network(LensNetConfig)
class DeepLensNet(nn.Module):
    """Images of any size to lens logits, by six residual blocks over LensNet's transform of the flux.

    Arcs are as thin as the point spread, two pixels of VIS, and LensNet's first layer halves the resolution at once because
    a CPU's time goes there. This one keeps it for a layer, and has two blocks at a quarter and an eighth of it.

    Parameters
    ----------
    config : LensNetConfig
        Width, dropout and side of the crop that the network takes.

    Examples
    --------
    >>> import torch
    >>> from lensdream import DeepLensNet
    >>> from lensdream.config import LensNetConfig
    >>> network = DeepLensNet(LensNetConfig(width=16)).eval()
    >>> network(torch.zeros(2, 4, 80, 80)).shape  # (B, band, y, x) [microjansky a pixel] -> logits (B,)
    torch.Size([2])
    """

    def __init__(self, config: LensNetConfig) -> None:
        super().__init__()
        self.config = config
        w = config.width
        self.crop = CenterCrop(config.middle_pixels)
        self.transform = InputTransform()
        self.stem = nn.Sequential(
            nn.Conv2d(2 * N_BANDS, w // 2, 5, 1, 2, bias=False), nn.BatchNorm2d(w // 2), nn.ReLU()
        )
        self.blocks = nn.Sequential(
            ResidualBlock(w // 2, w, 2),
            ResidualBlock(w, 2 * w, 2),
            ResidualBlock(2 * w, 2 * w, 1),
            ResidualBlock(2 * w, 4 * w, 2),
            ResidualBlock(4 * w, 4 * w, 1),
            ResidualBlock(4 * w, 4 * w, 2),
        )
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(8 * w, 1)

    def features(self, images: Tensor) -> Tensor:
        """(B, band, y, x) [microjansky a pixel] -> (B, 4 width, y / 16, x / 16) of the crop."""
        return self.blocks(self.stem(self.transform(self.crop(images))))

    def forward(self, images: Tensor) -> Tensor:
        """(B, band, y, x) [microjansky a pixel] -> lens logits (B,)."""
        return self.head(self.dropout(pooled(self.features(images))))[:, 0]


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False)
        self.norm_1 = nn.BatchNorm2d(channels)
        self.relu_1 = nn.ReLU()
        self.conv_2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm_2 = nn.BatchNorm2d(channels)
        self.relu_2 = nn.ReLU()
        self.shortcut = nn.Identity()
        if stride != 1 or channels_in != channels:
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(stride, ceil_mode=True) if stride != 1 else nn.Identity(),
                nn.Conv2d(channels_in, channels, 1, bias=False),
                nn.BatchNorm2d(channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels_in, y, x) -> (B, channels, y / stride, x / stride)."""
        y = self.relu_1(self.norm_1(self.conv_1(x)))
        return self.relu_2(self.norm_2(self.conv_2(y)) + self.shortcut(x))


@network(LensNetConfig)
class LensNet(nn.Module):
    """Images of any size to lens logits; the transform of the flux is its first layer.

    Only one layer is at half the image's resolution, where a block would take a third of the time: of the designs compared
    at equal time (`benchmarks/designs.py`) those that spend least there are best.

    Parameters
    ----------
    config : LensNetConfig
        Width, dropout and side of the crop that the network takes.

    Examples
    --------
    >>> import torch
    >>> from lensdream import LensNet
    >>> from lensdream.config import LensNetConfig
    >>> network = LensNet(LensNetConfig(width=16)).eval()
    >>> network(torch.zeros(2, 4, 80, 80)).shape  # (B, band, y, x) [microjansky a pixel] -> logits (B,)
    torch.Size([2])
    """

    def __init__(self, config: LensNetConfig) -> None:
        super().__init__()
        self.config = config
        w = config.width
        self.crop = CenterCrop(config.middle_pixels)
        self.transform = InputTransform()
        stem = w // 2
        self.stem = nn.Sequential(nn.Conv2d(2 * N_BANDS, stem, 5, 2, 2, bias=False), nn.BatchNorm2d(stem), nn.ReLU())
        self.block_1 = ResidualBlock(stem, 2 * w, 2)
        self.block_2 = ResidualBlock(2 * w, 4 * w, 2)
        self.block_3 = ResidualBlock(4 * w, 4 * w, 2)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(8 * w, 1)

    def features(self, images: Tensor) -> Tensor:
        """(B, band, y, x) [microjansky a pixel] -> (B, 4 width, y / 16, x / 16) of the crop."""
        return self.block_3(self.block_2(self.block_1(self.stem(self.transform(self.crop(images))))))

    def forward(self, images: Tensor) -> Tensor:
        """(B, band, y, x) [microjansky a pixel] -> lens logits (B,)."""
        return self.head(self.dropout(pooled(self.features(images))))[:, 0]


def pooled(maps: Tensor) -> Tensor:
    """Mean and maximum of each map, (B, channel, y, x) -> (B, 2 channel): amount of a feature, and its peak."""
    return torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1)
