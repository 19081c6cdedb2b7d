"""Explanation maps of one image without truth or neighbours in a set, such as a user's own cutout."""

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
"""seed of the sky that covers squares"""
CHUNK = 64
"""covered images scored together"""


@dataclass(frozen=True)
class CutoutMaps:
    """Logit and maps of one image; all maps (y, x) float32, positive where they support 'lens'."""

    logit: float
    window: int
    """side of the occluding square [pixel]"""
    stride: int
    """step of the occluding square [pixel]"""
    sky: np.ndarray
    """occlusion map: logit lost with a square covered by sky, the mean over the squares that cover a pixel"""
    black: np.ndarray
    """occlusion map with squares of zeros"""
    by_band: Mapping[Band, np.ndarray]
    """occlusion maps as `sky`, with one band covered and the others left; bands without data have none"""
    integrated: np.ndarray
    """Integrated Gradients, summed over bands [logit a pixel]"""
    integrated_squares: np.ndarray
    """Integrated Gradients summed over the squares, in the unit of `sky`"""


def explain_image(network: nn.Module, image: np.ndarray, *, window: int, stride: int, seed: int = SEED) -> CutoutMaps:
    """Maps of an image (band, y, x) float32 [microjansky a pixel]; a band that is zero everywhere counts as without data.

    Bands without data are not covered: sky would add a signal to them and take none away. Raises `ValueError` for
    pixels that are not finite, an image without data and windows that do not fit.
    """
    bands = [band for band in Band if image[band].any()]
    if not bands:
        raise ValueError("the image is zero in every band, there is nothing to explain: give one with data")
    pixels = torch.from_numpy(image).to(next(network.parameters()).device)[None]
    sky = sky_fill(tuple(pixels.shape), EUCLID, torch.Generator().manual_seed(seed)).to(pixels)
    # All covers are scored in one call; bands that a cover leaves alone are filled with the image's own pixels.
    covered = {"sky": bands, "black": bands} | {band: [band] for band in bands}
    fills = [
        _only(bands_of, torch.zeros_like(sky) if name == "black" else sky, pixels) for name, bands_of in covered.items()
    ]
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
    """Fill of these bands only: the other bands hold the image's own pixels."""
    mixed = pixels.clone()
    mixed[:, bands] = fill[:, bands]
    return mixed
