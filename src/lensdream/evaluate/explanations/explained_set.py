"""Chosen scenes of the study and all maps of them."""

from __future__ import annotations

import importlib.metadata
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from lensdream import config
from lensdream.dataset.store import ImageStore
from lensdream.explain import gradients
from lensdream.explain.chain import chain_of
from lensdream.explain.occlusion import Occlusion, occlude, sky_fill
from lensdream.families import COMPOUND, COMPOUND_SPLIT, FAMILIES_NON_LENS, LENS, TEST
from lensdream.instrument import EUCLID
from lensdream.networks.lensnet import LensNet
from lensdream.render.batch import ARC_1, ARC_2

FAMILIES_WITH_ARCS = (LENS, *COMPOUND)
FAMILIES = (LENS, *FAMILIES_NON_LENS, *COMPOUND)
NUMBERED = (LENS, *FAMILIES_NON_LENS[:12], *COMPOUND, *FAMILIES_NON_LENS[12:])
"""families by the numbers that seed the choice of scenes; families added later do not change the numbers of the others"""
ARCS = ARC_1 | ARC_2
"""bits of a store's masks for light of a lensed source"""
CAM_LAYER = "block_3"
"""layer of Guided Grad-CAM: cells of 8 pixels, 0.8 arcsec. The CAMs of earlier layers are often negative everywhere"""
GPU_CHUNK = 512
"""occluded images scored together on a GPU; the setting is meant for a CPU's cache"""
BATCH = 32
"""images differentiated or rendered together"""


@dataclass(frozen=True)
class ExplainedSet:
    """Chosen scenes and all their maps; n scenes."""

    truth: pd.DataFrame
    """rows of the store's truth table; the frame's index is the position in the store"""
    images: np.ndarray
    """(n, band, y, x) float32 [microjansky a pixel]"""
    masks: np.ndarray
    """(n, y, x) uint8 bits of the store"""
    zero: Occlusion
    sky: Occlusion
    maps: dict[str, np.ndarray]
    """method -> (n, y, x) float32, larger for more evidence for a lens"""

    @property
    def arcs(self) -> np.ndarray:
        """Masks (n, y, x) bool of the light of lensed sources."""
        return (self.masks & ARCS) > 0

    @property
    def family(self) -> np.ndarray:
        """Family of each scene, (n,)."""
        return self.truth["family"].to_numpy().astype(str)

    def rows_of(self, *families: str) -> np.ndarray:
        """Rows of the chosen scenes of these families."""
        return np.flatnonzero(np.isin(self.family, families))

    def label(self, row: int) -> str:
        """Name of a scene in figures."""
        return f"scene {self.truth['index'].iloc[row]}"


def choose_scenes(truth: pd.DataFrame, per_family: int, seed: int, families: Sequence[str] = FAMILIES) -> np.ndarray:
    """Positions of `per_family` scenes of each of these families in the test and compound splits, chosen by the seed.

    A family with fewer scenes gives all of them. A family's choice depends on the seed and that family alone, and a smaller
    choice is the beginning of a larger one.
    """
    chosen = []
    for family in families:
        number = NUMBERED.index(family)
        split = COMPOUND_SPLIT if family in COMPOUND else TEST
        rows = np.flatnonzero((truth["family"] == family) & (truth["split"] == split))
        chosen.append(np.random.default_rng([seed, number]).permutation(rows)[:per_family])
    return np.concatenate(chosen)


def explain(
    model: LensNet,
    store: ImageStore,
    positions: np.ndarray,
    settings: config.ExplainConfig,
    device: torch.device,
) -> ExplainedSet:
    """Maps by every method of the scenes at these positions of the store. Raises `ValueError` for no positions."""
    if not len(positions):
        raise ValueError("the store has no scene of the splits 'test' and 'compound' to explain: simulate some")
    images = torch.from_numpy(store.images(positions).astype(np.float32)).to(device)
    zero, sky, maps = all_maps(model, images, settings)
    return ExplainedSet(
        truth=store.truth.reset_index(drop=True).iloc[positions],
        images=array(images),
        masks=store.masks(positions),
        zero=zero,
        sky=sky,
        maps=maps,
    )


def all_maps(
    model: LensNet, images: Tensor, settings: config.ExplainConfig
) -> tuple[Occlusion, Occlusion, dict[str, np.ndarray]]:
    """Occlusion of images (n, band, y, x) by black and by sky, and the maps (n, y, x) float32 of every method."""
    zero = _occluded(model, images, settings, (settings.window, settings.stride), 0.0)
    sky = _occluded(model, images, settings, (settings.sky_window, settings.sky_stride), sky_of(images, settings))
    maps = {
        "occlusion_zero": zero.to_pixels(zero.logit_change),
        "occlusion_sky": sky.to_pixels(sky.logit_change),
    } | gradient_maps(model, images)
    return zero, sky, {method: array(values) for method, values in maps.items()}


def gradient_maps(model: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Guided Grad-CAM and Integrated Gradients of images, pooled to (B, y, x)."""
    layer = model.get_submodule(CAM_LAYER)
    guided = torch.cat([gradients.guided_grad_cam(model, layer, batch) for batch in images.split(BATCH)])
    return {
        "guided_grad_cam": gradients.pooled(guided),
        "integrated_gradients": gradients.pooled(gradients.integrated_gradients(model, images)),
    }


def occluded_by_sky(model: nn.Module, images: Tensor, settings: config.ExplainConfig) -> Tensor:
    """Logit lost with a square of sky at each position of the grid, (B, n_y, n_x)."""
    square = settings.sky_window, settings.sky_stride
    return _occluded(model, images, settings, square, sky_of(images, settings)).logit_change


def _occluded(
    model: nn.Module, images: Tensor, settings: config.ExplainConfig, square: tuple[int, int], fill: Tensor | float
) -> Occlusion:
    window, stride = square
    chunk = settings.chunk if images.device.type == "cpu" else max(settings.chunk, GPU_CHUNK)
    return occlude(chain_of(model), images, window=window, stride=stride, fill=fill, chunk=chunk)


def sky_of(images: Tensor, settings: config.ExplainConfig) -> Tensor:
    """Empty sky of the shape of the images; zeros in a band without data, where sky would add a signal."""
    sky = sky_fill(tuple(images.shape), EUCLID, torch.Generator().manual_seed(settings.seed)).to(images)
    return sky * (images != 0).flatten(2).any(2)[:, :, None, None]


def maps_file(explained: ExplainedSet, settings: config.ExplainConfig) -> bytes:
    """Bytes of the file of all maps, with a description of its arrays under `about`."""
    about = {
        "sign": "positive supports 'lens': logit (or probability) of the image minus that of the covered image",
        "occlusion_*": "(scene, y, x) on the grid corner_y_*, corner_x_*: first row and column of each square [pixel]",
        "fill": {"occlusion_zero": "0 in all bands", "occlusion_sky": "correlated sky noise by the settings' seed"},
        "guided_grad_cam, integrated_gradients": "(scene, y, x) per pixel: sum over bands of the positive parts",
        "position": "row of the image store's truth table",
        "cam_layer": CAM_LAYER,
        "captum": importlib.metadata.version("captum"),
        "settings": asdict(settings),
    }
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        about=json.dumps(about),
        position=explained.truth.index.to_numpy(),
        scene=explained.truth["index"].to_numpy(),
        family=explained.family,
        logit=array(explained.zero.original),
        corner_y_zero=array(explained.zero.corners_y),
        corner_x_zero=array(explained.zero.corners_x),
        corner_y_sky=array(explained.sky.corners_y),
        corner_x_sky=array(explained.sky.corners_x),
        occlusion_zero=array(explained.zero.logit_change),
        occlusion_zero_probability=array(explained.zero.probability_change),
        occlusion_sky=array(explained.sky.logit_change),
        occlusion_sky_probability=array(explained.sky.probability_change),
        guided_grad_cam=explained.maps["guided_grad_cam"],
        integrated_gradients=explained.maps["integrated_gradients"],
    )
    return buffer.getvalue()


def array(tensor: Tensor) -> np.ndarray:
    """Values of a tensor as a numpy array."""
    return tensor.detach().cpu().numpy()
