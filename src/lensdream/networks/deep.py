"""DeepLensNet: LensNet's larger sibling for the few images that are looked at again; it starts at full resolution."""

from __future__ import annotations

from torch import Tensor, nn

from lensdream.networks.lensnet import InputTransform, LensNetConfig, Middle, ResidualBlock, pooled
from lensdream.survey import N_BANDS


class DeepLensNet(nn.Module):
    """Images of any size to lens logits, by six residual blocks over LensNet's transform of the flux.

    Arcs are as thin as the point spread, two pixels of VIS, and LensNet's first layer halves the resolution at once because
    a CPU's time goes there. This one keeps it for a layer, and has two blocks at a quarter and an eighth of it.
    """

    def __init__(self, config: LensNetConfig) -> None:
        super().__init__()
        self.config = config
        w = config.width
        self.middle = Middle(config.middle_pixels)
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
        """(B, band, y, x) [microjansky a pixel] -> (B, 4 width, y / 16, x / 16) of the middle."""
        return self.blocks(self.stem(self.transform(self.middle(images))))

    def forward(self, images: Tensor) -> Tensor:
        """(B, band, y, x) [microjansky a pixel] -> lens logits (B,)."""
        return self.head(self.dropout(pooled(self.features(images))))[:, 0]
