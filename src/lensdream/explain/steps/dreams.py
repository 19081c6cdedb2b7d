"""Deep Dream of the chosen scenes, both ways, and on random weights."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from lensdream import config, networks
from lensdream.explain import dream, figures, measure
from lensdream.explain.explained import BATCH, FAMILIES_COMPOUND, FAMILIES_WITH_ARCS, Explained, array
from lensdream.explain.randomised import randomised_twin
from lensdream.survey import EUCLID

DREAMT = ("lens", "elliptical", *FAMILIES_COMPOUND)
"""families that are dreamt; of the non-lenses the ellipticals, each of which is some lens without its source"""
WAYS = ("towards_lens", "towards_non_lens")


def run(
    model: networks.LensNet, explained: Explained, settings: config.ExplainConfig, device: torch.device
) -> tuple[dict, dict[str, Figure]]:
    """Dream both ways; returns what it did to logits and to the arcs' colour, and the triptychs by file name."""
    places = explained.places(*DREAMT)
    if not len(places):
        return {}, {}
    images = torch.from_numpy(explained.images[places]).to(device)
    highest = torch.from_numpy(explained.images).amax((0, 2, 3))
    to_lens, to_non_lens = _both_ways(model, images, highest, settings)
    twin = _both_ways(randomised_twin(model, settings.seed), images[:1], highest, settings)

    def row(label: str, k: int, lens: dream.Dream, non_lens: dream.Dream) -> figures.DreamRow:
        logits = (float(non_lens.after[k]), float(lens.before[k]), float(lens.after[k]))
        original = explained.images[places[k]]
        return figures.DreamRow(label, array(non_lens.images[k]), original, array(lens.images[k]), logits)

    family = explained.family[places]
    pages = {}
    for name in dict.fromkeys(family):
        drawn = np.flatnonzero(family == name)[: settings.figures_per_family]
        rows = [row(explained.label(places[k]), k, to_lens, to_non_lens) for k in drawn]
        pages[f"dream-{name}"] = figures.dream_page(f"Deep Dream: {name}", rows)
    rows = [row("trained", 0, to_lens, to_non_lens), row("random weights", 0, *twin)]
    pages["dream-random-twin"] = figures.dream_page(
        f"Deep Dream and random weights: {explained.label(places[0])}", rows
    )

    def numbers(dreamt: dream.Dream) -> dict:
        has_arcs = np.isin(family, FAMILIES_WITH_ARCS)
        change = array(dreamt.after - dreamt.before)
        after = array(dreamt.images)
        return measure.measure_dream(
            explained.images[places], after, explained.arcs[places], has_arcs, change, settings.seed
        )

    twin_change = {f"{way}_logit_change": float(d.after[0] - d.before[0]) for way, d in zip(WAYS, twin, strict=True)}
    result: dict = dict(zip(WAYS, (numbers(to_lens), numbers(to_non_lens)), strict=True))
    return result | {"random_twin": twin_change}, pages


def _both_ways(
    network: nn.Module, images: Tensor, highest: Tensor, settings: config.ExplainConfig
) -> tuple[dream.Dream, dream.Dream]:
    """Dream towards lens and towards non-lens, every scene with the same jitter, alone or in company."""
    climb = dream.Climb(
        settings.dream_steps,
        settings.dream_octaves,
        settings.dream_octave_scale,
        settings.dream_jitter,
        settings.dream_step_size,
    )
    transfer = dream.psf_transfer(EUCLID, images.shape[-1])

    def one_way(towards: float) -> dream.Dream:
        parts = [
            dream.dream(
                network,
                batch,
                towards=towards,
                climb=climb,
                sky_sigma=torch.tensor(EUCLID.sky_sigma),
                highest=highest,
                generator=torch.Generator().manual_seed(settings.seed),
                transfer=transfer,
            )
            for batch in images.split(BATCH)
        ]
        return dream.Dream(*(torch.cat([getattr(p, name) for p in parts]) for name in ("images", "before", "after")))

    return one_way(dream.TOWARDS_LENS), one_way(dream.TOWARDS_NON_LENS)
