"""Page of maps of real cutouts and, for comparison, of simulated lenses, on one scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure

from lensdream.config import ExplainConfig
from lensdream.dataset.store import ImageStore
from lensdream.evaluate.explanations.explained_set import all_maps, choose_scenes
from lensdream.families import LENS
from lensdream.finder.finder import Finder
from lensdream.plots.heatmaps import MapsRow, maps_page
from lensdream.render.batch import ARC_1, ARC_2

SIMULATED = 3
"""simulated lenses below the real cutouts"""
LONGEST = 22
"""letters of a name at the left of a row"""


def page(
    finder: Finder, names: Sequence[str], cutouts: np.ndarray, store: ImageStore, settings: ExplainConfig, credit: str
) -> Figure:
    """Page of maps of real cutouts (n, band, y, x) [microjansky a pixel], and of simulated lenses of a store below them.

    The maps are those of the finder's first stage; each row gives its logit, and the finder's with its probability.
    names: of the cutouts; credit: of their pixels, empty where none is owed.
    """
    simulated = choose_scenes(store.truth, SIMULATED, settings.seed, (LENS,))
    images = np.concatenate([cutouts, store.images(simulated).astype(np.float32)])
    masks = np.concatenate([np.zeros((len(cutouts), *images.shape[-2:]), np.uint8), store.masks(simulated)])
    labels = [name[:LONGEST] for name in names]
    labels += [f"simulated {index}" for index in store.truth["index"].iloc[simulated]]
    zero, _, maps = all_maps(finder.cascade.first, torch.from_numpy(images).to(finder.device), settings)
    scores = finder.scores(torch.from_numpy(images))
    rows = [
        MapsRow(
            label=f"{label}\nfinder {logit:+.2f}, p {p:.2f}\nfirst stage {first:+.2f}",
            image=image,
            arcs=((mask & ARC_1) > 0, (mask & ARC_2) > 0),
            occlusion_zero=maps["occlusion_zero"][k],
            occlusion_sky=maps["occlusion_sky"][k],
            guided_grad_cam=maps["guided_grad_cam"][k],
        )
        for k, (label, image, mask, logit, p, first) in enumerate(
            zip(labels, images, masks, scores.logit, scores.probability, zero.original, strict=True)
        )
    ]
    note = f"Pixels: {credit}" if credit else ""
    return maps_page("Real cutouts beside simulated lenses", rows, (settings.window, settings.sky_window), note)
