"""First layers of the networks: the crop, the compression of flux, the contrast of fine structure."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lensdream.instrument import EUCLID, N_BANDS


def asinh(x: Tensor) -> Tensor:
    """Inverse hyperbolic sine, to 1e-6, by a logarithm: three times as fast as `torch.asinh` on a CPU.

    Its gradient at exactly 0, which only missing bands and blackened pixels have, is 0 in place of 1.
    """
    size = x.abs()
    return torch.log(size + torch.sqrt(size * size + 1)).copysign(x)


class CenterCrop(nn.Module):
    """Centre of an image, which holds the target; its surroundings distract."""

    def __init__(self, side: int) -> None:
        """Take the `side` of the square that is kept [pixel]."""
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
        """Take `softening`: noise scatters where the response turns logarithmic; `blur`: width of the Gaussian [pixel]."""
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
