"""Occlusion maps (the method): the loss of the lens logit when a small square of the image is covered.

Zeiler & Fergus 2014 (arXiv:1311.2901); on lens finders Wilde et al. 2022 (arXiv:2202.12776). Positive is the evidence
of the square *for* a lens (blue in the figures, as in theirs), negative the evidence against one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lensdream.explain.chain import Chain
from lensdream.explain.patches import plan, score_squares
from lensdream.explain.score_function import check_images
from lensdream.instrument import Band, Survey
from lensdream.optics.noise import correlated_noise, noise_filter


@dataclass(frozen=True)
class Occlusion:
    """Logits of images and of the same images with one square covered, for every place of the square."""

    original: Tensor
    """(B,) logits of the images as they are"""
    occluded: Tensor
    """(B, n_y, n_x) logits of the covered images"""
    corners_y: Tensor
    """(n_y,) first row that each square covers [pixel]"""
    corners_x: Tensor
    """(n_x,) first column that each square covers [pixel]"""
    window: int
    """side of the square [pixel]"""
    size: tuple[int, int]
    """height and width of the images [pixel]"""

    @property
    def logit_change(self) -> Tensor:
        """(B, n_y, n_x) logit lost by covering; positive where the square supports 'lens'."""
        return self.original[:, None, None] - self.occluded

    @property
    def probability_change(self) -> Tensor:
        """(B, n_y, n_x) probability lost by covering; near zero everywhere where the probability is near 0 or 1."""
        return self.original.sigmoid()[:, None, None] - self.occluded.sigmoid()

    def to_pixels(self, change: Tensor) -> Tensor:
        """Occlusion map (B, y, x) of a change (B, n_y, n_x): the mean over the squares that cover a pixel."""
        rows, columns = self._covered(change)
        return (rows.T @ change @ columns) / torch.outer(rows.sum(0), columns.sum(0))

    def summed(self, attributions: Tensor) -> Tensor:
        """Sums of a map of single pixels (B, y, x) over each square: (B, n_y, n_x), comparable with a change."""
        rows, columns = self._covered(attributions)
        return rows @ attributions @ columns.T

    def _covered(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Rows (n_y, y) and columns (n_x, x) that each square covers, 1 or 0, of the type of `like`."""
        corners = (self.corners_y, self.corners_x)
        rows, columns = (_cover(c, self.window, n).to(like) for c, n in zip(corners, self.size, strict=True))
        return rows, columns


def window_corners(length: int, window: int, stride: int) -> Tensor:
    """First pixels of the windows along an axis of `length` pixels, `stride` apart.

    The last window is moved back to end at the border, so that no pixel is left out. Raises `ValueError` for a window
    longer than the axis, or a stride longer than the window, which would leave gaps.
    """
    if not 1 <= window <= length:
        raise ValueError(f"window is {window} pixels, the image {length}: choose a window in [1, {length}]")
    if not 1 <= stride <= window:
        raise ValueError(f"stride is {stride} pixels, the window {window}: choose a stride in [1, {window}]")
    corners = torch.arange(0, length - window + 1, stride)
    end = torch.tensor([length - window])
    return corners if corners[-1] == end[0] else torch.cat([corners, end])


def _cover(corners: Tensor, window: int, length: int) -> Tensor:
    """(n, length) bool: which pixels of an axis each window covers."""
    pixel = torch.arange(length, device=corners.device)
    return (pixel >= corners[:, None]) & (pixel < corners[:, None] + window)


@torch.inference_mode()
def occlude(
    chain: Chain,
    images: Tensor,
    *,
    window: int = 4,
    stride: int = 2,
    fill: Tensor | float = 0.0,
    bands: Sequence[Band] = tuple(Band),
    chunk: int = 64,
) -> Occlusion:
    """Cover every place of images (B, band, y, x) [microjansky a pixel] with a square, and score.

    chain: `chain_of(network)`, or `plain(score_fn)` for any score function, which takes several times as long.
    fill: pixels of the square, broadcast against (B, band, y, x) [microjansky a pixel]: 0 for the black square of the
        paper, or a realisation of the sky (`sky_fill`), which resembles training images.
    bands: which bands the square covers; the others stay as they are.
    chunk: covered images scored together. On a CPU small chunks stay in its cache and are faster.

    Raises `ValueError` for pixels that are not finite, for windows that do not fit and for no bands.
    """
    check_images(images)
    if not len(bands):
        raise ValueError(f"no band to cover: name at least one of {', '.join(band.name for band in Band)}")
    height, width = images.shape[-2:]
    corners_y = window_corners(height, window, stride).to(images.device)
    corners_x = window_corners(width, window, stride).to(images.device)
    covered = torch.zeros(images.shape[1], 1, 1, dtype=torch.bool, device=images.device)
    covered[list(bands)] = True
    filled = torch.as_tensor(fill, dtype=images.dtype, device=images.device).expand_as(images)
    chain, squares = plan(chain, images[0], (corners_y, corners_x), window)
    original, occluded = [], []
    for image, cover in zip(images, filled, strict=True):
        as_is, changed = score_squares(chain, squares, image, torch.where(covered, cover, image), chunk)
        original.append(as_is)
        occluded.append(changed)
    return Occlusion(torch.stack(original), torch.stack(occluded), corners_y, corners_x, window, (height, width))


def sky_fill(shape: tuple[int, int, int, int], survey: Survey, generator: torch.Generator) -> Tensor:
    """Empty sky (B, band, n, n) [microjansky a pixel] with the survey's scatter and correlation, one draw an image.

    The noise is correlated as the delivered mosaics are: a patch of white noise would be conspicuous in the near infrared.
    """
    width = shape[-1]
    filters = torch.stack([noise_filter(width, *band.sky_correlation) for band in survey.bands])
    sigma = torch.tensor(survey.sky_sigma, dtype=torch.float64)[:, None, None]
    white = torch.randn(shape, generator=generator, dtype=torch.float64)
    return (correlated_noise(white, filters) * sigma).float()
