"""Run of the sanity check (`explain.randomised`) in the study: maps of networks randomised layer by layer."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from lensdream import config
from lensdream.evaluate.explanations import charts, measure
from lensdream.evaluate.explanations.explained_set import (
    FAMILIES_WITH_ARCS,
    ExplainedSet,
    array,
    gradient_maps,
    occluded_by_sky,
)
from lensdream.explain.crop import crop_of
from lensdream.explain.randomised import randomised_from_top
from lensdream.networks.lensnet import LensNet


def run(
    model: LensNet, explained: ExplainedSet, settings: config.ExplainConfig, device: torch.device
) -> tuple[dict, dict[str, Figure]]:
    """Randomise the network from its last layer down and compare the maps of `settings.sanity_scenes` scenes with arcs."""
    with_arcs = explained.rows_of(*FAMILIES_WITH_ARCS)
    if not len(with_arcs) or not settings.sanity_scenes:
        return {}, {}
    n = min(settings.sanity_scenes, len(with_arcs))
    images = torch.from_numpy(explained.images[with_arcs[np.linspace(0, len(with_arcs) - 1, n).astype(int)]]).to(device)
    # zeros outside the receptive crop would be equal for any weights
    images = crop_of(model)(images)
    original = _maps(model, images, settings)
    randomised = {name: _maps(twin, images, settings) for name, twin in randomised_from_top(model, settings.seed)}
    result = measure.measure_sanity(original, randomised, settings.seed)
    return result, {"sanity": charts.sanity_chart(result)}


def note(result: dict) -> str:
    """Note for the pages of maps: the scores of Guided Grad-CAM and of occlusion with all layers random."""
    if not result:
        return ""
    last = {method: list(result[method].values())[-1]["value"] for method in ("guided_grad_cam", "occlusion_sky")}
    words = {method: "undefined" if value is None else f"{value:.2f}" for method, value in last.items()}
    return (
        f"rank correlation with the map of a network of random weights (0 is good): Guided Grad-CAM "
        f"{words['guided_grad_cam']}, occlusion {words['occlusion_sky']}"
    )


def _maps(model: nn.Module, images: Tensor, settings: config.ExplainConfig) -> dict[str, np.ndarray]:
    maps = {"occlusion_sky": occluded_by_sky(model, images, settings)} | gradient_maps(model, images)
    return {method: array(values) for method, values in maps.items()}
