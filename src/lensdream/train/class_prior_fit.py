"""The train-kinds stage: which kind of non-lens an image is, by what the second network sees in it.

The network learned from many ring galaxies and mergers, so that it learns them at all; a survey has few, and an image that may
be a ring galaxy or a lens is a lens there more often than in training. What else an image may be tells by how much.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from lensdream import families
from lensdream.dataset import on_the_fly, target_mix
from lensdream.dataset.on_the_fly import ImageDrawer
from lensdream.families import FAMILIES_NON_LENS, LENS, NEAR_MISS, NON_LENS_CLASSES
from lensdream.networks.cascade import orientations, passes_gate
from lensdream.networks.class_prior import ClassPrior
from lensdream.networks.lensnet import DeepLensNet, pooled
from lensdream.networks.predict import CPU_BATCH
from lensdream.population import drawing
from lensdream.runtime.processes import worker_map
from lensdream.train.second_stage_data import EPOCH, OnTheFlyMix

KINDS_EPOCH = EPOCH + 3
"""of the chunks of fresh non-lenses: no training has them"""
BARE_EPOCH = KINDS_EPOCH + 1
"""of those of early types without a source"""
NEVER = -30.0
"""log likelihood of a kind of which nothing is let through"""


def drawn(scenes: OnTheFlyMix, n: int) -> Iterator[tuple[int, np.ndarray]]:
    """`n` non-lenses of each class: its number and images (m, band, y, x) float16, chunk by chunk."""
    bare = target_mix.chunks({families.PAIRED: n}, on_the_fly.SPLIT, BARE_EPOCH)
    others = target_mix.chunks(dict.fromkeys(FAMILIES_NON_LENS, n), on_the_fly.SPLIT, KINDS_EPOCH)
    arguments = (scenes.population, scenes.simulate, drawing.draw_all_catalogs(scenes.population))
    with worker_map(scenes.simulate.workers, ImageDrawer.start, arguments) as ordered:
        for chunks, near_miss, early in ((bare, 0.0, families.PAIRED), (others, 1.0, NEAR_MISS)):
            parts = ordered(partial(target_mix.draw_images, near_miss=near_miss), chunks)
            known = tqdm(parts, total=len(chunks), desc="fresh non-lenses", leave=False)
            for chunk, (images, _) in zip(chunks, known, strict=True):
                yield NON_LENS_CLASSES.index(early if chunk.family == LENS else chunk.family), images


@torch.inference_mode()
def seen_of(
    parts: Iterator[tuple[int, np.ndarray]], first: torch.nn.Module, network: DeepLensNet, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """What the network sees (N, feature) in the images that the first lets through, each in one orientation, and kinds (N,)."""
    rng = np.random.default_rng(seed)
    seen, kinds = [], []
    for kind, some in parts:
        images = torch.from_numpy(some)
        images = images[passes_gate(first, images)].float()
        for batch in images.split(CPU_BATCH):
            turned = orientations(batch)[rng.integers(8)].contiguous(memory_format=torch.channels_last)
            seen.append(pooled(network.features(turned)).numpy())
        kinds += [kind] * len(images)
    if not kinds:
        raise ValueError("the first look lets no fresh non-lens through: raise kinds.fresh_of_each")
    return np.concatenate(seen), np.array(kinds)


def fitted(seen: np.ndarray, kind: np.ndarray, trained_on: dict[str, float], penalty: float) -> ClassPrior:
    """The multinomial logistic regression of kinds (N,) on what is seen (N, feature), as many having been drawn of each.

    trained_on: how many of each class the second network learned from for every lens. A kind of which nothing is
    seen is as good as impossible. Raises `ValueError` for fewer than three kinds.
    """
    known = np.unique(kind)
    if len(known) < 3:
        raise ValueError(f"{len(known)} kinds of non-lenses are let through, 3 are needed: raise kinds.fresh_of_each")
    scaler = StandardScaler().fit(seen)
    model = LogisticRegression(C=1 / (penalty * len(kind)), max_iter=1000).fit(scaler.transform(seen), kind)
    weight = np.zeros((len(NON_LENS_CLASSES), seen.shape[1]))
    bias = np.full(len(NON_LENS_CLASSES), NEVER)
    weight[known] = model.coef_ / scaler.scale_
    bias[known] = model.intercept_ - weight[known] @ scaler.mean_
    weight, bias = (torch.as_tensor(array, dtype=torch.float32) for array in (weight, bias))
    return ClassPrior(weight, bias, {name: trained_on[name] for name in NON_LENS_CLASSES})


def measured(kinds: ClassPrior, seen: np.ndarray, kind: np.ndarray) -> dict[str, object]:
    """Of held-out images: their number, the mean negative log likelihood and, of each kind, the share told right."""
    said = kinds(torch.from_numpy(seen)).double()
    truth = torch.from_numpy(kind)
    loss = torch.nn.functional.cross_entropy(said, truth)
    right = (said.argmax(1) == truth).numpy()
    told = {name: float(right[kind == k].mean()) for k, name in enumerate(kinds.names) if (kind == k).any()}
    return {"n_held_out": len(kind), "cross_entropy": float(loss), "accuracy": float(right.mean()), "told": told}
