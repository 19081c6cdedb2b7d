"""Run of Deep Dream (`explain.dream`) in the study: both ways, with a network of random weights as the control."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from lensdream import config
from lensdream.dataset.store import ImageStore
from lensdream.evaluate.explanations import charts, measure
from lensdream.evaluate.explanations.explained_set import ARCS, BATCH, FAMILIES_WITH_ARCS, array, choose_scenes
from lensdream.explain import dream
from lensdream.explain.occlusion import sky_fill
from lensdream.explain.randomised import randomised_twin
from lensdream.families import ELLIPTICAL
from lensdream.instrument import EUCLID, N_BANDS
from lensdream.networks.lensnet import LensNet
from lensdream.plots import heatmaps

WITHOUT_ARCS = (ELLIPTICAL,)
"""families with pictures but no metrics: each elliptical is a lens without its source"""
FROM_SKY = 8.0
"""factor on the step of a dream that begins with empty sky: it has no light to change"""
WAYS = {"towards_lens": dream.TOWARDS_LENS, "towards_non_lens": dream.TOWARDS_NON_LENS}
NETWORKS = ("trained", "random_weights")
IN_COLOURS = "colours_of_galaxies"
"""dreams of the trained network with bands that change together, as in the images; in the others each band changes alone"""

Dreams = dict[str, dream.Dream]
"""by way"""


@dataclass(frozen=True)
class _Scenes:
    """Scenes to dream of; n scenes."""

    images: np.ndarray
    """(n, band, y, x) float32 [microjansky a pixel]"""
    arcs: np.ndarray
    """(n, y, x) bool"""
    family: np.ndarray
    labels: list[str]

    @classmethod
    def of(cls, store: ImageStore, positions: np.ndarray) -> _Scenes:
        rows = store.truth.iloc[positions]
        return cls(
            images=store.images(positions).astype(np.float32),
            arcs=(store.masks(positions) & ARCS) > 0,
            family=rows["family"].to_numpy().astype(str),
            labels=[f"scene {index}" for index in rows["index"]],
        )


def run(
    model: LensNet, store: ImageStore, settings: config.ExplainConfig, device: torch.device
) -> tuple[dict, dict[str, Figure]]:
    """Dream both ways; returns the changes of logits and of the arcs' colour, and the pages by file name.

    The metrics are of `settings.dream_scenes` scenes with arcs, the same number of every family with arcs.
    """
    scenes = _Scenes.of(store, _chosen(store, settings))
    if not len(scenes.images):
        return {}, {}
    images = torch.from_numpy(scenes.images).to(device)
    highest = images.amax((0, 2, 3))
    networks_ = dict(zip(NETWORKS, (model, randomised_twin(model, settings.seed)), strict=True))
    dreamt = {name: _both_ways(network, images, highest, settings) for name, network in networks_.items()}
    colours = dream.band_covariance(images, torch.tensor(EUCLID.sky_sigma))
    dreamt[IN_COLOURS] = _both_ways(model, images, highest, settings, colours=colours)
    table = measure.dream_table(
        scenes.images,
        {(name, way): array(d.images) for name, ways in dreamt.items() for way, d in ways.items()},
        {(name, way): array(d.after - d.before) for name, ways in dreamt.items() for way, d in ways.items()},
        scenes.arcs,
        scenes.family,
    )
    measured = table[table["family"].isin(FAMILIES_WITH_ARCS)]
    result = {name: measure.measure_dream(measured, name, settings.seed) for name in dreamt}
    pages = {
        f"dream-{name}": heatmaps.dream_page(
            f"Deep Dream: {name}",
            [_row(scenes, k, dreamt["trained"]) for k in np.flatnonzero(scenes.family == name)][
                : settings.figures_per_family
            ],
        )
        for name in dict.fromkeys(scenes.family)
    }
    pages["dream-random-twin"] = heatmaps.dream_page(
        f"Deep Dream and random weights: {scenes.labels[0]}",
        [_row(scenes, 0, ways, name.replace("_", " ")) for name, ways in dreamt.items()],
    )
    pages["dream-from-sky"] = _from_sky(networks_, images.shape[-1], highest, settings)
    if len(measured):
        pages["dream-colour"] = charts.dream_chart(measured, result)
    return result, pages


def _chosen(store: ImageStore, settings: config.ExplainConfig) -> np.ndarray:
    """Positions of the scenes with metrics, then of those with pictures only."""
    each = -(-settings.dream_scenes // len(FAMILIES_WITH_ARCS))
    return np.concatenate(
        [
            choose_scenes(store.truth, n, settings.seed, families)
            for n, families in ((each, FAMILIES_WITH_ARCS), (settings.figures_per_family, WITHOUT_ARCS))
        ]
    )


def _row(scenes: _Scenes, k: int, ways: Dreams, label: str = "") -> heatmaps.DreamRow:
    lens, non_lens = (ways[way] for way in WAYS)
    logits = (float(non_lens.after[k]), float(lens.before[k]), float(lens.after[k]))
    return heatmaps.DreamRow(
        label or scenes.labels[k], array(non_lens.images[k]), scenes.images[k], array(lens.images[k]), logits
    )


def _from_sky(networks_: dict[str, nn.Module], width: int, highest: Tensor, settings: config.ExplainConfig) -> Figure:
    """Page of dreams that begin with empty sky."""
    sky = sky_fill((1, N_BANDS, width, width), EUCLID, torch.Generator().manual_seed(settings.seed)).to(highest)
    nothing = _Scenes(array(sky), np.zeros((1, width, width), bool), np.array(["sky"]), ["empty sky"])
    rows = [
        _row(nothing, 0, _both_ways(network, sky, highest, settings, FROM_SKY), name.replace("_", " "))
        for name, network in networks_.items()
    ]
    return heatmaps.dream_page("Deep Dream from empty sky", rows)


def _both_ways(
    network: nn.Module,
    images: Tensor,
    highest: Tensor,
    settings: config.ExplainConfig,
    faster: float = 1.0,
    colours: Tensor | None = None,
) -> Dreams:
    """Dreams towards lens and towards non-lens; every scene has the same jitter, whatever the batch."""
    climb = dream.Climb(
        settings.dream_steps,
        settings.dream_octaves,
        settings.dream_octave_scale,
        settings.dream_jitter,
        faster * settings.dream_step_size,
    )
    transfer = dream.psf_transfer(EUCLID, images.shape[-1])

    def one_way(towards: float) -> Iterable[dream.Dream]:
        for batch in images.split(BATCH):
            yield dream.dream(
                network,
                batch,
                towards=towards,
                climb=climb,
                sky_sigma=torch.tensor(EUCLID.sky_sigma),
                highest=highest,
                generator=torch.Generator().manual_seed(settings.seed),
                transfer=transfer,
                colours=colours,
            )

    return {way: _joined(list(one_way(towards))) for way, towards in WAYS.items()}


def _joined(parts: list[dream.Dream]) -> dream.Dream:
    return dream.Dream(*(torch.cat([getattr(p, name) for p in parts]) for name in ("images", "before", "after")))
