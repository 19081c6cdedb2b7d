"""Run of component ablation (`explain.ablation`) in the study: logits lost by component, and rank correlations of maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from lensdream import config
from lensdream.evaluate.explanations import charts, measure
from lensdream.evaluate.explanations.explained_set import BATCH, FAMILIES_WITH_ARCS, ExplainedSet, array, sky_of
from lensdream.explain.ablation import COMPONENTS, ablate, disjoint_masks
from lensdream.explain.score_function import ScoreFn
from lensdream.instrument import Band
from lensdream.networks.lensnet import LensNet
from lensdream.plots import heatmaps
from lensdream.render.renderer import Renderer
from lensdream.scene import Scenes

LARGEST_DIFFERENCE = 0.01
"""share of a pixel's flux, and of a microjansky, that a stored image may differ from the scene drawn again: the store rounds"""


@dataclass(frozen=True)
class _Scene:
    """Logits of one scene without each of its components."""

    logit: float
    without: Mapping[str, tuple[np.ndarray | None, float]]
    """component -> image (band, y, x), kept where it will be drawn, and logit"""
    masks: Mapping[str, np.ndarray]
    covered: Mapping[str, Mapping[str, float]]
    """fill -> component of `DISJOINT` -> logit with all of its pixels covered at once"""


def run(
    model: LensNet, renderer: Renderer, scenes: Scenes, explained: ExplainedSet, settings: config.ExplainConfig
) -> tuple[dict, dict[str, Figure]]:
    """Ablate every chosen scene; `scenes`: the tables that the images were rendered from.

    Raises `ValueError` for tables of other scenes.
    """
    positions = explained.truth.index.to_numpy()
    drawn = {p for name in FAMILIES_WITH_ARCS for p in explained.rows_of(name)[: settings.figures_per_family].tolist()}
    ablated: dict[int, _Scene] = {}
    for start in range(0, len(positions), BATCH):
        rows = np.argsort(positions)[start : start + BATCH]
        batch = _ablated(model, renderer, scenes.take(positions[rows]), explained.images[rows], rows, drawn, settings)
        ablated |= dict(zip(rows.tolist(), batch, strict=True))
    table = _table(ablated, explained, np.random.default_rng([settings.seed, 2]))
    result = measure.measure_ablation(table, settings.seed)
    pages = {"ablation": charts.ablation_chart(table, result)} if len(table) else {}
    for name in FAMILIES_WITH_ARCS:
        rows = [_row(explained, row, ablated[row]) for row in explained.rows_of(name) if row in drawn]
        if rows:
            title = f"The same scene and sky without a part of it: {name}"
            pages[f"ablation-{name}"] = heatmaps.ablation_page(title, rows, COMPONENTS)
    return result, pages


@torch.inference_mode()
def _ablated(
    model: LensNet, renderer: Renderer, scenes: Scenes, stored: np.ndarray, rows: np.ndarray, drawn: set[int],
    settings: config.ExplainConfig,
) -> list[_Scene]:  # fmt: skip
    whole, parts = ablate(renderer, scenes)
    images = array(whole.images)
    if not np.allclose(stored, images, rtol=LARGEST_DIFFERENCE, atol=LARGEST_DIFFERENCE):
        raise ValueError(
            "the images are not those of the tables of scenes: run the population and simulate stages again"
        )
    device = next(model.parameters()).device
    logits = array(model(whole.images.to(device)))
    without: list[dict] = [{} for _ in logits]
    masks: list[dict] = [{} for _ in logits]
    for name, part in parts.items():
        scored = array(model(part.without.to(device)))
        for k, image, logit, mask in zip(part.rows, part.without, scored, array(part.mask), strict=True):
            without[k][name] = (array(image) if rows[k] in drawn else None, float(logit))
            masks[k][name] = mask
    drawn_again, apart = whole.images.to(device), [dict(disjoint_masks(one)) for one in masks]
    fills = {"zero": torch.zeros_like(drawn_again), "sky": sky_of(drawn_again, settings)}
    covered = {name: covered_at_once(model, drawn_again, fill, apart) for name, fill in fills.items()}
    return [
        _Scene(float(logit), without[k], masks[k], {name: of[k] for name, of in covered.items()})
        for k, logit in enumerate(logits)
    ]


def covered_at_once(
    score: ScoreFn, images: Tensor, fill: Tensor, masks: Sequence[Mapping[str, np.ndarray]]
) -> list[dict[str, float]]:
    """Logits of images (B, band, y, x) with all pixels of one mask (y, x) covered at once, by image and mask."""
    where = [(k, name, torch.from_numpy(mask)) for k, one in enumerate(masks) for name, mask in one.items()]
    logits: list[dict[str, float]] = [{} for _ in masks]
    for start in range(0, len(where), BATCH):
        part = where[start : start + BATCH]
        rows = [k for k, _, _ in part]
        hidden = torch.stack([mask for _, _, mask in part]).to(images.device)[:, None]
        scored = array(score(torch.where(hidden, fill[rows], images[rows])))
        for (k, name, _), logit in zip(part, scored, strict=True):
            logits[k][name] = float(logit)
    return logits


def _table(ablated: Mapping[int, _Scene], explained: ExplainedSet, random: np.random.Generator) -> pd.DataFrame:
    """Table of components, a row for each of each scene, as `measure.measure_ablation` takes it."""
    rows = []
    for k, scene in sorted(ablated.items()):
        about = {"scene": k, "family": explained.family[k], "logit": scene.logit}
        controls = {
            "brightness": explained.images[k, Band.VIS],
            "random": random.random(explained.images.shape[-2:]),
        }
        maps = {method: values[k] for method, values in explained.maps.items()} | controls
        apart = dict(disjoint_masks(scene.masks))
        for name, (_, logit) in scene.without.items():
            row = about | {"component": name, "change": scene.logit - logit, "pixels": int(scene.masks[name].sum())}
            if name in apart:
                inside = {f"inside_{method}": float(values[apart[name]].sum()) for method, values in maps.items()}
                covered = {
                    f"inside_covered_at_once_{fill}": scene.logit - of[name] for fill, of in scene.covered.items()
                }
                area = float(apart[name].sum())
                row |= {"pixels": int(area)} | inside | {"inside_area": area} | covered
            rows.append(row)
    return pd.DataFrame(rows)


def _row(explained: ExplainedSet, row: int, scene: _Scene) -> heatmaps.AblationRow:
    return heatmaps.AblationRow(
        explained.label(row), explained.images[row], scene.logit,
        {name: (image, logit) for name, (image, logit) in scene.without.items() if image is not None},
    )  # fmt: skip
