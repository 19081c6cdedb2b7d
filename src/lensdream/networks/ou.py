"""OU-66 of Wilde et al. 2022 (MNRAS 512, 3464), layer by layer as in their public code.

The published network ends in two classes. Ours gives the difference of the two: softmax of two is the sigmoid of their
difference, so that the published cross-entropy is the binary one of ours. The input differs: the paper scales every band of
every image to [0, 1], which loses flux and colour to one hot pixel. This network takes asinh of the flux over a fixed
constant a band, as LensNet does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from lensdream.config import setting
from lensdream.instrument import EUCLID, N_BANDS
from lensdream.networks.input import asinh
from lensdream.networks.registry import network

SOFTENING = 3.0
"""noise scatters where the response turns logarithmic, as in LensNet"""


@dataclass(frozen=True)
class OUConfig:
    """Shape of OU-66."""

    dropout: float = setting(0.2, 0.0, 0.9, "after every convolution")


@network(OUConfig)
class OU66(nn.Module):
    """Images of any size to lens logits, by nine 3x3 convolutions on 66 pixels; 203,192 weights.

    The resize and the transform of the flux are its first layers.
    """

    side: ClassVar[int] = 66
    """side of the resized image that the convolutions take [pixel]"""
    convolutions: ClassVar[tuple[tuple[int, int, bool], ...]] = (
        (50, 3, True), (50, 3, False), (50, 3, False), (50, 3, False),
        (40, 3, True), (40, 3, False), (40, 3, False), (40, 3, False), (30, 3, True),
    )  # fmt: skip
    """channels, side of the kernel [pixel], whether a 2x2 maximum follows; none is padded"""
    hidden: ClassVar[tuple[int, int]] = (120, 500)
    """features that the convolutions give, and the hidden layer behind them"""

    def __init__(self, config: OUConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("sky_sigma", torch.tensor(EUCLID.sky_sigma).view(1, N_BANDS, 1, 1))
        layers, channels_in = [], N_BANDS
        for channels, kernel, pooled in self.convolutions:
            layers += [nn.Conv2d(channels_in, channels, kernel), nn.ReLU()]
            layers += [nn.MaxPool2d(2), nn.Dropout(config.dropout)] if pooled else [nn.Dropout(config.dropout)]
            channels_in = channels
        self.features = nn.Sequential(*layers)
        features, hidden = self.hidden
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, 2))
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight)
                nn.init.zeros_(layer.bias)

    def classes(self, images: Tensor) -> Tensor:
        """(B, band, y, x) [microjansky a pixel] -> the published outputs (B, 2): non-lens, lens."""
        resized = nn.functional.interpolate(images, (self.side, self.side), mode="bilinear", antialias=True)
        return self.head(self.features(asinh(resized / self.sky_sigma / SOFTENING)))

    def forward(self, images: Tensor) -> Tensor:
        """(B, band, y, x) [microjansky a pixel] -> lens logits (B,)."""
        non_lens, lens = self.classes(images).unbind(1)
        return lens - non_lens
