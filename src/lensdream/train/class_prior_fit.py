"""The class prior's fit: a regression of the non-lens class on the features of the second-stage network.

The network is trained on many ring galaxies and mergers, so that it learns them at all; a survey has few, and an image that
may be a ring galaxy or a lens is a lens there more often than in training. The class likelihoods tell by how much.
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

CLASS_PRIOR_EPOCH = EPOCH + 3
"""epoch number of the chunks of fresh non-lenses: no training has them"""
WITHOUT_SOURCE_EPOCH = CLASS_PRIOR_EPOCH + 1
"""epoch number of the chunks of early types without a source"""
NEVER = -30.0
"""log likelihood of a class of which no image passes the gate"""


def draw_non_lenses(scenes: OnTheFlyMix, n: int) -> Iterator[tuple[int, np.ndarray]]:
    """Draw `n` non-lenses of each class: class numbers and images (m, band, y, x) float16, chunk by chunk."""
    without_source = target_mix.chunks({families.PAIRED: n}, on_the_fly.SPLIT, WITHOUT_SOURCE_EPOCH)
    others = target_mix.chunks(dict.fromkeys(FAMILIES_NON_LENS, n), on_the_fly.SPLIT, CLASS_PRIOR_EPOCH)
    arguments = (scenes.population, scenes.simulate, drawing.draw_all_catalogs(scenes.population))
    with worker_map(scenes.simulate.workers, ImageDrawer.start, arguments) as ordered:
        for chunks, near_miss, early in ((without_source, 0.0, families.PAIRED), (others, 1.0, NEAR_MISS)):
            parts = ordered(partial(target_mix.draw_images, near_miss=near_miss), chunks)
            known = tqdm(parts, total=len(chunks), desc="fresh non-lenses", leave=False, disable=None)
            for chunk, (images, _) in zip(chunks, known, strict=True):
                yield NON_LENS_CLASSES.index(early if chunk.family == LENS else chunk.family), images


@torch.inference_mode()
def gated_features(
    parts: Iterator[tuple[int, np.ndarray]], first: torch.nn.Module, network: DeepLensNet, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, feature) of the images that pass the gate, each in one orientation, and their classes (N,)."""
    rng = np.random.default_rng(seed)
    features, classes = [], []
    for number, part in parts:
        images = torch.from_numpy(part)
        images = images[passes_gate(first, images)].float()
        for batch in images.split(CPU_BATCH):
            turned = orientations(batch)[rng.integers(8)].contiguous(memory_format=torch.channels_last)
            features.append(pooled(network.features(turned)).numpy())
        classes += [number] * len(images)
    if not classes:
        raise ValueError("no fresh non-lens passes the gate of the first stage: raise class_prior.fresh_of_each")
    return np.concatenate(features), np.array(classes)


def fit_class_prior(
    features: np.ndarray, classes: np.ndarray, trained_on: dict[str, float], penalty: float
) -> ClassPrior:
    """Fit the multinomial logistic regression of classes (N,) on features (N, feature), from equal numbers drawn of each.

    trained_on: non-lenses of each class for every lens in the training of the second stage. A class without an image
    becomes as good as impossible. Raises `ValueError` for fewer than three classes.
    """
    present = np.unique(classes)
    if len(present) < 3:
        raise ValueError(
            f"images of {len(present)} non-lens classes pass the gate, 3 are needed: raise class_prior.fresh_of_each"
        )
    scaler = StandardScaler().fit(features)
    model = LogisticRegression(C=1 / (penalty * len(classes)), max_iter=1000)
    model.fit(scaler.transform(features), classes)
    weight = np.zeros((len(NON_LENS_CLASSES), features.shape[1]))
    bias = np.full(len(NON_LENS_CLASSES), NEVER)
    weight[present] = model.coef_ / scaler.scale_
    bias[present] = model.intercept_ - weight[present] @ scaler.mean_
    weight, bias = (torch.as_tensor(array, dtype=torch.float32) for array in (weight, bias))
    return ClassPrior(weight, bias, {name: trained_on[name] for name in NON_LENS_CLASSES})


def measure_class_prior(prior: ClassPrior, features: np.ndarray, classes: np.ndarray) -> dict[str, object]:
    """Number, mean negative log likelihood and accuracy of held-out images, and by class the share classified correctly."""
    log_likelihoods = prior(torch.from_numpy(features)).double()
    truth = torch.from_numpy(classes)
    loss = torch.nn.functional.cross_entropy(log_likelihoods, truth)
    correct = (log_likelihoods.argmax(1) == truth).numpy()
    by_class = {name: float(correct[classes == k].mean()) for k, name in enumerate(prior.names) if (classes == k).any()}
    return {
        "n_held_out": len(classes),
        "cross_entropy": float(loss),
        "accuracy": float(correct.mean()),
        "told": by_class,
    }
