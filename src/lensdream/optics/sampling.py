"""Sampling of the light: a fine square in the middle, one sample a pixel around it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from lensdream.instrument import EUCLID


@dataclass(frozen=True)
class Frame:
    """Stamp with its margin, and the points at which a scene's light is sampled.

    The margin takes the light that the point spread carries across the edge; it is cut away.

    Parameters
    ----------
    stamp : int
        Side of the image that is kept [pixel].
    padding : int
        Margin on each side [pixel]; the point spread is cut off at this radius.
    supersampling : int
        Samples an axis in a pixel of the inner square.
    fine_width : int
        Side of the inner square [pixel], at most `width` and of its parity; outside there is one sample a pixel.
    pixel_scale : float
        Side of a pixel [arcsec].
    integrate : bool
        Integrate light over cusps and pixels; if not, samples are averaged as they are, as lenstronomy does.

    Raises
    ------
    ValueError
        For an inner square that is wider than the frame, or of another parity.

    Examples
    --------
    >>> from lensdream import Frame
    >>> Frame()
    Frame(stamp=80, padding=16, supersampling=3, fine_width=54, pixel_scale=0.1, integrate=True)
    >>> Frame(stamp=40, fine_width=40).width
    72
    """

    stamp: int = 80
    padding: int = 16
    supersampling: int = 3
    fine_width: int = 54
    pixel_scale: float = EUCLID.pixel_scale
    integrate: bool = True

    def __post_init__(self) -> None:
        """Refuse frames that cannot be laid out."""
        if self.fine_width > self.width or (self.width - self.fine_width) % 2:
            raise ValueError(
                f"fine_width {self.fine_width} must be at most the frame's {self.width} pixels (stamp + 2 padding) "
                "and of the same parity: change simulate.fine_width"
            )

    @property
    def width(self) -> int:
        """Side of the frame, with the margin [pixel]."""
        return self.stamp + 2 * self.padding

    @cached_property
    def points(self) -> tuple[Tensor, Tensor]:
        """(x, y) [arcsec] of all samples, float64 (P,): the outer pixels' centres, then the inner square's samples."""
        coarse = self._axis(self.width, 1)
        y, x = torch.meshgrid(coarse, coarse, indexing="ij")
        outer = self._outer
        fine = self._axis(self.fine_width, self.supersampling)
        fine_y, fine_x = torch.meshgrid(fine, fine, indexing="ij")
        return torch.cat([x[outer], fine_x.flatten()]), torch.cat([y[outer], fine_y.flatten()])

    @property
    def fine_step(self) -> float:
        """Spacing of fine samples [arcsec]."""
        return self.pixel_scale / self.supersampling

    def _axis(self, width: int, samples: int) -> Tensor:
        n = width * samples
        return (torch.arange(n, dtype=torch.float64) - (n - 1) / 2) * self.pixel_scale / samples

    @cached_property
    def _outer(self) -> Tensor:
        outer = torch.ones(self.width, self.width, dtype=torch.bool)
        outer[self._inner, self._inner] = False
        return outer

    @cached_property
    def outer_indices(self) -> Tensor:
        """Indices of the outer pixels among all (width^2)."""
        return self._outer.flatten().nonzero()[:, 0]

    @property
    def _inner(self) -> slice:
        edge = (self.width - self.fine_width) // 2
        return slice(edge, edge + self.fine_width)

    def to_pixels(self, samples: Tensor) -> Tensor:
        """Mean over the samples of each pixel: (..., P) -> (..., width, width)."""
        pixels, fine = self._parted(samples)
        pixels[..., self._inner, self._inner] = self._bin(fine, self.fine_width)
        return pixels

    def _parted(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """Map (..., width, width) of the outer pixels, zero inside, and the inner square's samples (..., rest)."""
        *lead, _ = samples.shape
        indices = self.outer_indices.to(samples.device)
        pixels = samples.new_zeros(*lead, self.width**2).index_copy_(-1, indices, samples[..., : len(indices)])
        return pixels.view(*lead, self.width, self.width), samples[..., len(indices) :]

    def _bin(self, fine: Tensor, width: int) -> Tensor:
        """Mean over each pixel of (..., (s width)^2) samples of any shape: (..., width, width)."""
        *lead, _ = fine.shape
        s = self.supersampling
        # rows first, in memory order: several times as fast as avg_pool2d on a CPU
        rows = fine.reshape(*lead, width, s, width * s).sum(-2)
        return rows.reshape(*lead, width, width, s).sum(-1) / s**2

    def to_fine(self, samples: Tensor) -> Tensor:
        """Whole frame at the fine sampling, outer pixels repeated: (..., P) -> (..., s width, s width)."""
        *lead, _ = samples.shape
        s, w = self.supersampling, self.fine_width
        pixels, inner = self._parted(samples)
        fine = samples.new_empty(*lead, self.width, s, self.width, s).copy_(pixels[..., :, None, :, None])
        fine = fine.view(*lead, s * self.width, s * self.width)
        square = slice(self._inner.start * s, self._inner.stop * s)
        fine[..., square, square] = inner.reshape(*lead, w * s, w * s)
        return fine

    def crop(self, frame: Tensor) -> Tensor:
        """Cut the margin away: (..., width, width) -> (..., stamp, stamp)."""
        return frame[..., self.inside, self.inside]

    @property
    def inside(self) -> slice:
        """The rows, and the columns, of the stamp within the frame."""
        return slice(self.padding, self.padding + self.stamp)
