"""Run of deletion and insertion (`explain.removal`) in the study, by every method's maps and by controls."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.figure import Figure

from lensdream import config
from lensdream.evaluate.explanations import charts, measure
from lensdream.evaluate.explanations.explained_set import FAMILIES_WITH_ARCS, ExplainedSet, array, sky_of
from lensdream.explain.removal import removal_shares, remove
from lensdream.instrument import Band
from lensdream.networks.lensnet import LensNet


def run(
    model: LensNet, explained: ExplainedSet, settings: config.ExplainConfig, device: torch.device
) -> tuple[dict, dict[str, Figure]]:
    """Replace the pixels of every scene with arcs by sky, step by step, in the order of each map; returns metrics, pages."""
    rows = explained.rows_of(*FAMILIES_WITH_ARCS)
    if not len(rows):
        return {}, {}
    images = torch.from_numpy(explained.images[rows]).to(device)
    fill = sky_of(images, settings)
    controls = {
        "brightness": explained.images[:, Band.VIS],
        "random": np.random.default_rng([settings.seed, 3]).random(explained.masks.shape),
    }
    curves = {}
    for method, maps in (explained.maps | controls).items():
        order = torch.from_numpy(maps[rows]).to(device)
        removal = remove(model, images, order, fill=fill, steps=settings.removal_steps, seed=settings.seed)
        curves[method] = (array(removal.most_first), array(removal.least_first))
    result = measure.measure_removal(curves, settings.seed)
    return result, {"removal": charts.removal_chart(array(removal_shares(settings.removal_steps)), curves)}
