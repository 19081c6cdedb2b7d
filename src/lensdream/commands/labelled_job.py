"""Training of LensNet and of the baselines, on stored or fresh images, by one process or all that torchrun has started."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch

from lensdream import config
from lensdream.commands.paths import Paths
from lensdream.commands.timings import Clock
from lensdream.commands.training import Job, tracked
from lensdream.config import PopulationConfig, SimulateConfig, Training
from lensdream.dataset.labelled import LabelledImages, TrainingImages
from lensdream.dataset.store import ImageStore
from lensdream.runtime.distributed import Ranks, started_ranks
from lensdream.train.loop import fit
from lensdream.train.recipes import Recipe


def train_on_labelled_images(recipe: Recipe, paths: Paths, clock: Clock) -> None:
    """Train LensNet or a baseline, on all processes that torchrun has started."""
    settings = recipe.read_settings(paths.scale, paths.root / "params.yaml")
    store = ImageStore.open(paths.images)
    validation = LabelledImages.from_store(store, "validation")
    torch.set_num_threads(settings.fit.threads)
    with started_ranks() as ranks, training_images(recipe, settings, store, paths, ranks) as train:
        job = Job(recipe, settings, partial(recipe.build, settings.network), train, validation)
        if ranks.first:
            tracked(job, paths, store.stamp, {"network": recipe.block}, ranks, clock=clock)
            return
        fit(job.build, settings.fit, train, validation, checkpoint=paths.checkpoint(recipe.stage), ranks=ranks)


@contextmanager
def training_images(
    recipe: Recipe, settings: Training, store: ImageStore, paths: Paths, ranks: Ranks
) -> Iterator[TrainingImages]:
    """Training images of these settings; raises `ValueError` for simulated images of another size than the store's."""
    if settings.fresh_scenes == settings.hard_negatives == 0:
        yield LabelledImages.from_store(store, "train", settings.images or None)
        return
    from lensdream.dataset import hard_negatives, on_the_fly  # bring SkyPy and the renderer

    params = paths.root / "params.yaml"
    simulate = config.load("simulate", SimulateConfig, paths.scale, params)
    on_the_fly.require_size(simulate, store)
    population = config.load("population", PopulationConfig, paths.scale, params)
    if settings.fresh_scenes:
        with on_the_fly.fresh_scenes(population, simulate, settings.fresh_scenes, settings.fit.epochs) as scenes:
            yield scenes
        return
    yield hard_negatives.WithHardNegatives(
        LabelledImages.from_store(store, "train", settings.images or None),
        hard_negatives.fresh_non_lenses(population, simulate, settings.hard_negatives),
        settings.hard_negatives,
        hard_negatives.rounds(settings.hard_rounds, settings.fit.epochs, paths.kept(recipe.stage)),
        json.dumps([dataclasses.asdict(settings), on_the_fly.identity_of(population, simulate)]),
        ranks,
    )
