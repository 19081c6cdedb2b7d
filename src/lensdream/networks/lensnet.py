"""LensNet: a small residual network, fast on a CPU, built of `nn.ReLU` modules so that guided backpropagation is true."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lensdream.networks.compression import asinh
from lensdream.survey import EUCLID, N_BANDS


@dataclass(frozen=True)
class LensNetConfig:
    """Shape of the network, and of its deeper sibling."""

    width: int = 32
    """the first layer has half as many channels, the last ones four times as many"""
    dropout: float = 0.2
    """before the last layer"""
    middle_pixels: int = 64
    """side of the middle of an image that it sees; smaller images it sees whole"""


class Middle(nn.Module):
    """The middle of an image, where a survey has put what is to be classified: what lies around it distracts."""

    def __init__(self, side: int) -> None:
        """`side` of what is left [pixel]."""
        super().__init__()
        self.side = side

    def forward(self, images: Tensor) -> Tensor:
        """(..., y, x) -> (..., side, side); along an axis that is no longer than `side` all of it."""
        for axis in (-2, -1):
            length = images.shape[axis]
            if length > self.side:
                images = images.narrow(axis, (length - self.side) // 2, self.side)
        return images


class InputTransform(nn.Module):
    """Images [microjansky a pixel] to twice the bands: compressed flux, and the contrast of fine structure.

    The first four channels are asinh of the flux in units of the survey's sky scatter: a fixed constant a band keeps
    colour and flux, which a scaling of each image would destroy. The other four are what is left after the image's own
    Gaussian blur is taken away, in units of the noise there (sky and shot noise of the blurred light): faint arcs stand
    out of the bright light of a deflector, which the first four bury.
    """

    def __init__(self, softening: float = 3.0, blur: float = 2.5) -> None:
        """`softening`: noise scatters where the response turns logarithmic; `blur`: width of the Gaussian [pixel]."""
        super().__init__()
        self.softening = softening
        self.radius = round(2.5 * blur)
        offset = torch.arange(-self.radius, self.radius + 1, dtype=torch.float32)
        kernel = torch.exp(-0.5 * (offset / blur) ** 2)
        electrons = [band.electrons_per_microjansky for band in EUCLID.bands]
        self.register_buffer("sky_sigma", torch.tensor(EUCLID.sky_sigma).view(1, N_BANDS, 1, 1))
        self.register_buffer("electrons", torch.tensor(electrons).view(1, N_BANDS, 1, 1))
        self.register_buffer("kernel", (kernel / kernel.sum()).repeat(N_BANDS, 1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """(B, band, y, x) [microjansky a pixel] -> (B, 2 band, y, x); in full precision where the rest is in half.

        Faint arcs are a small difference of bright pixels.
        """
        with torch.autocast("cuda", enabled=False), torch.autocast("cpu", enabled=False):
            return self._transformed(images)

    def _transformed(self, images: Tensor) -> Tensor:
        r = self.radius
        smooth = nn.functional.pad(images, (r, r, r, r), mode="reflect")
        smooth = nn.functional.conv2d(smooth, self.kernel, groups=N_BANDS)
        smooth = nn.functional.conv2d(smooth, self.kernel.transpose(2, 3), groups=N_BANDS)
        noise = torch.sqrt(self.sky_sigma**2 + smooth.clamp(min=0) / self.electrons)
        flux, contrast = images / self.sky_sigma, (images - smooth) / noise
        return asinh(torch.cat([flux, contrast], 1) / self.softening)


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
    """Images of any size to lens logits; the transform of the flux is its first layer.

    Only one layer is at half the image's resolution, where a block would take a third of the time: of the designs compared
    at equal time (`benchmarks/designs.py`) those that spend least there are best.
    """

    def __init__(self, config: LensNetConfig) -> None:
        super().__init__()
        self.config = config
        w = config.width
        self.middle = Middle(config.middle_pixels)
        self.transform = InputTransform()
        stem = w // 2
        self.stem = nn.Sequential(nn.Conv2d(2 * N_BANDS, stem, 5, 2, 2, bias=False), nn.BatchNorm2d(stem), nn.ReLU())
        self.block_1 = ResidualBlock(stem, 2 * w, 2)
        self.block_2 = ResidualBlock(2 * w, 4 * w, 2)
        self.block_3 = ResidualBlock(4 * w, 4 * w, 2)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(8 * w, 1)

    def features(self, images: Tensor) -> Tensor:
        """(B, band, y, x) [microjansky a pixel] -> (B, 4 width, y / 16, x / 16) of the middle."""
        return self.block_3(self.block_2(self.block_1(self.stem(self.transform(self.middle(images))))))

    def forward(self, images: Tensor) -> Tensor:
        """(B, band, y, x) [microjansky a pixel] -> lens logits (B,)."""
        return self.head(self.dropout(pooled(self.features(images))))[:, 0]


def pooled(maps: Tensor) -> Tensor:
    """Mean and maximum of each map, (B, channel, y, x) -> (B, 2 channel): how much there is of a feature, and whether."""
    return torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1)
