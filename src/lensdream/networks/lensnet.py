"""LensNet: a small residual network, fast on a CPU, built of `nn.ReLU` modules so that guided backpropagation is true."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lensdream.survey import EUCLID, N_BANDS


@dataclass(frozen=True)
class LensNetConfig:
    """Shape of the network."""

    width: int = 32
    """channels of the first block; the next two have two and four times as many"""
    dropout: float = 0.2
    """before the last layer"""


class InputTransform(nn.Module):
    """Images [microjansky a pixel] to asinh of the flux in units of the survey's sky scatter, band by band.

    A fixed constant a band keeps colour and flux, which a scaling of each image would destroy.
    """

    def __init__(self, softening: float = 3.0) -> None:
        """`softening`: sky scatters where the response turns from linear to logarithmic."""
        super().__init__()
        scale = torch.tensor(EUCLID.sky_sigma, dtype=torch.float32).view(1, N_BANDS, 1, 1) * softening
        self.register_buffer("scale", scale)

    def forward(self, images: Tensor) -> Tensor:
        """(B, band, y, x) [microjansky a pixel] -> (B, band, y, x)."""
        return torch.asinh(images / self.scale)


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


class LensNet(nn.Module):
    """Images of any size to lens logits; the transform of the flux is its first layer."""

    def __init__(self, config: LensNetConfig) -> None:
        super().__init__()
        self.config = config
        w = config.width
        self.transform = InputTransform()
        self.stem = nn.Sequential(nn.Conv2d(N_BANDS, w, 5, 2, 2, bias=False), nn.BatchNorm2d(w), nn.ReLU())
        self.block_1 = ResidualBlock(w, w, 1)
        self.block_2 = ResidualBlock(w, 2 * w, 2)
        self.block_3 = ResidualBlock(2 * w, 4 * w, 2)
        self.block_4 = ResidualBlock(4 * w, 4 * w, 2)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(8 * w, 1)

    def features(self, images: Tensor) -> Tensor:
        """(B, band, y, x) [microjansky a pixel] -> (B, 4 width, y / 16, x / 16)."""
        return self.block_4(self.block_3(self.block_2(self.block_1(self.stem(self.transform(images))))))

    def forward(self, images: Tensor) -> Tensor:
        """(B, band, y, x) [microjansky a pixel] -> lens logits (B,)."""
        maps = self.features(images)
        pooled = torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1)
        return self.head(self.dropout(pooled))[:, 0]
