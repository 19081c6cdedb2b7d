"""Every map of one image that nothing else is known of, as of a user's own cutout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from lensdream.explain.chain import chain_of
from lensdream.explain.gradients import integrated_gradients
from lensdream.explain.occlusion import occlude, sky_fill
from lensdream.instrument import EUCLID, Band

SEED = 0
"""of the sky that squares are filled with"""
CHUNK = 64
"""covered images scored together"""


@dataclass(frozen=True)
class CutoutMaps:
    """One image's logit and maps; all maps (y, x) float32, positive where they support 'lens'."""

    logit: float
    window: int
    """side of the occluding square [pixel]"""
    stride: int
    """its step [pixel]"""
    sky: np.ndarray
    """logit lost with a square of sky over the place: mean of the squares that cover a pixel"""
    black: np.ndarray
    """the same with a square of zeros"""
    by_band: Mapping[Band, np.ndarray]
    """as `sky`, with one band covered and the others left; bands without data are missing"""
    integrated: np.ndarray
    """Integrated Gradients, summed over bands [logit a pixel]"""
    integrated_squares: np.ndarray
    """the same summed over the squares, in the unit of `sky`"""


def explain_image(network: nn.Module, image: np.ndarray, *, window: int, stride: int, seed: int = SEED) -> CutoutMaps:
    """Make all maps of an image (band, y, x) float32 [microjansky a pixel]; bands that are zero all over have no data.

    Bands without data are not covered: sky there would be something new and take nothing away. Raises `ValueError` for
    pixels that are not finite, an image without data and windows that do not fit.
    """
    bands = [band for band in Band if image[band].any()]
    if not bands:
        raise ValueError("the image is zero in every band, there is nothing to explain: give one with data")
    pixels = torch.from_numpy(image).to(next(network.parameters()).device)[None]
    sky = sky_fill(tuple(pixels.shape), EUCLID, torch.Generator().manual_seed(seed)).to(pixels)
    # All covers in one go, the bands that one leaves alone being filled with the image's own pixels.
    covered = {"sky": bands, "black": bands} | {band: [band] for band in bands}
    fills = [_only(here, torch.zeros_like(sky) if name == "black" else sky, pixels) for name, here in covered.items()]
    fill = torch.cat(fills)
    found = occlude(chain_of(network), pixels.expand_as(fill), window=window, stride=stride, fill=fill, chunk=CHUNK)
    maps = dict(zip(covered, found.to_pixels(found.logit_change).float().cpu().numpy(), strict=True))
    integrated = integrated_gradients(network, pixels).sum(1)
    squares = found.to_pixels(found.summed(integrated))
    return CutoutMaps(
        logit=float(found.original[0]),
        window=window,
        stride=stride,
        sky=maps["sky"],
        black=maps["black"],
        by_band={band: maps[band] for band in bands},
        integrated=integrated[0].float().cpu().numpy(),
        integrated_squares=squares[0].float().cpu().numpy(),
    )


def _only(bands: list[Band], fill: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
    """Fill these bands; the others show the image's own pixels."""
    mixed = pixels.clone()
    mixed[:, bands] = fill[:, bands]
    return mixed
