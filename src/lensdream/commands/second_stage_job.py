"""Training of the second stage, made ready: on images that pass the gate of the first stage."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from lensdream.commands.paths import Paths
from lensdream.commands.training import Job
from lensdream.dataset import on_the_fly
from lensdream.dataset.store import ImageStore
from lensdream.networks.layout import WEIGHTS
from lensdream.networks.model_file import load_model
from lensdream.runtime.files import sha256_of
from lensdream.train.recipes import DEEP, SECOND_STAGE, Recipe
from lensdream.train.second_stage_data import OnTheFlyMix, gated_images, gated_validation
from lensdream.train.warm_start import fine_tuned


def prepared(recipe: Recipe, paths: Paths) -> tuple[Job, Paths, int]:
    """Job of a network of the second stage, its files, and the side of its images [pixel].

    `DEEP` begins with random weights; `SECOND_STAGE` fine-tunes `DEEP` on scenes of its own. Raises `ValueError` for simulated
    images of another size than the store's.
    """
    params = paths.root / "params.yaml"
    first, weights = load_model(paths.model), {"first": paths.model / WEIGHTS}
    build: Callable[[object], nn.Module] = recipe.build
    if recipe == SECOND_STAGE:
        start = paths.model / DEEP.folder
        weights, build = weights | {"start": start / WEIGHTS}, partial(fine_tuned, load_model(start))
    settings = recipe.read_settings(paths.scale, params)
    store = ImageStore.open(paths.images)
    scenes = OnTheFlyMix.read(paths.scale, params, settings.fresh)
    on_the_fly.require_size(scenes.simulate, store)
    kept = paths.kept(recipe.stage) / "passed.pt"
    torch.set_num_threads(1)  # while workers render
    train = gated_images(store, first, scenes, kept, [sha256_of(file) for file in weights.values()])
    torch.set_num_threads(settings.fit.threads)
    validation = gated_validation(store, first)
    n_lens = int(train.data.labels.sum())
    more = {"lenses": n_lens, "non_lenses": len(train) - n_lens, "validation_images": len(validation)}
    job = Job(recipe, settings, partial(build, settings.network), train, validation, weights, more)
    return job, paths, store.stamp
