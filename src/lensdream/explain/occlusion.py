"""Occlusion: the change of the lens logit when a small square of the image is covered.

Zeiler & Fergus 2014 (arXiv:1311.2901); on lens finders Wilde et al. 2022 (arXiv:2202.12776). Positive is the evidence
that the square held *for* a lens (blue in the figures, as there), negative the evidence against one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lensdream.explain.score_function import ScoreFn, check_images, scored
from lensdream.optics.noise import correlated_noise, noise_filter
from lensdream.survey import Survey


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
        """(B, n_y, n_x) probability lost by covering; near zero all over an image that the network is sure of."""
        return self.original.sigmoid()[:, None, None] - self.occluded.sigmoid()

    def to_pixels(self, change: Tensor) -> Tensor:
        """Spread a map (B, n_y, n_x) over the pixels (B, y, x): the mean of the squares that cover a pixel."""
        rows = _cover(self.corners_y, self.window, self.size[0]).to(change)
        columns = _cover(self.corners_x, self.window, self.size[1]).to(change)
        return (rows.T @ change @ columns) / torch.outer(rows.sum(0), columns.sum(0))


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
    score_fn: ScoreFn,
    images: Tensor,
    *,
    window: int = 4,
    stride: int = 2,
    fill: Tensor | float = 0.0,
    chunk: int = 32,
) -> Occlusion:
    """Cover every place of images (B, band, y, x) [microjansky a pixel] with a square over all bands, and score.

    fill: what the square shows, broadcast against (B, band, y, x) [microjansky a pixel]: 0 for the black square of the
        paper, or a realisation of the sky (`sky_fill`), which looks like something the network has seen.
    chunk: covered images scored together. On a CPU small chunks stay in its cache and are faster.

    Costs n_y n_x + 1 scores an image. Raises `ValueError` for pixels that are not finite and for windows that do not
    fit.
    """
    check_images(images)
    height, width = images.shape[-2:]
    corners_y = window_corners(height, window, stride).to(images.device)
    corners_x = window_corners(width, window, stride).to(images.device)
    rows, columns = _cover(corners_y, window, height), _cover(corners_x, window, width)
    places = torch.cartesian_prod(
        torch.arange(len(corners_y), device=images.device), torch.arange(len(corners_x), device=images.device)
    )
    filled = torch.as_tensor(fill, dtype=images.dtype, device=images.device).expand_as(images)
    occluded = []
    for image, cover in zip(images, filled, strict=True):
        logits = []
        for place in places.split(chunk):
            squares = (rows[place[:, 0], :, None] & columns[place[:, 1], None, :])[:, None]  # (chunk, 1, y, x)
            covered = torch.where(squares, cover, image)
            # Convolutions on a CPU are twice as fast in this memory format, and on a GPU no slower.
            logits.append(scored(score_fn, covered.contiguous(memory_format=torch.channels_last)))
        occluded.append(torch.cat(logits).view(len(corners_y), len(corners_x)))
    return Occlusion(scored(score_fn, images), torch.stack(occluded), corners_y, corners_x, window, (height, width))


def sky_fill(shape: tuple[int, int, int, int], survey: Survey, generator: torch.Generator) -> Tensor:
    """Empty sky (B, band, n, n) [microjansky a pixel] with the survey's scatter and correlation, one draw an image.

    The noise is correlated as the delivered mosaics are: a patch of white noise would stand out in the near infrared.
    """
    width = shape[-1]
    filters = torch.stack([noise_filter(width, *band.sky_correlation) for band in survey.bands])
    sigma = torch.tensor(survey.sky_sigma, dtype=torch.float64)[:, None, None]
    white = torch.randn(shape, generator=generator, dtype=torch.float64)
    return (correlated_noise(white, filters) * sigma).float()
