"""`lensdream train-deep` and `train-second`: train the second stage on images that pass the gate of the first.

`train-deep` trains DeepLensNet from random weights, `train-second` fine-tunes it on newly simulated scenes of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import nn

from lensdream.commands.paths import Paths
from lensdream.commands.timings import Clock
from lensdream.commands.train import Job, tracked
from lensdream.dataset import on_the_fly
from lensdream.dataset.store import ImageStore
from lensdream.networks.layout import WEIGHTS, is_model
from lensdream.networks.model_file import load_model
from lensdream.runtime.files import sha256_of
from lensdream.train.recipes import DEEP, SECOND_STAGE, Recipe
from lensdream.train.second_stage_data import OnTheFlyMix, gated_images, gated_validation
from lensdream.train.warm_start import fine_tuned


def run_deep(scale: str, root: Path = Path()) -> None:
    """Train DeepLensNet at a scale; writes its model, its curves and `metrics/<scale>/train-deep.json`.

    Raises `FileNotFoundError` without the LensNet of the scale.
    """
    paths = Paths(scale, root)
    _train(DEEP, DEEP.build, paths, {"first": paths.model / WEIGHTS})


def run(scale: str, root: Path = Path()) -> None:
    """Fine-tune DeepLensNet into the second stage; writes model, curves and `metrics/<scale>/train-second.json`.

    Raises `FileNotFoundError` without the LensNet or the DeepLensNet of the scale.
    """
    paths = Paths(scale, root)
    start = paths.model / DEEP.folder
    if not is_model(start):
        raise FileNotFoundError(f"no DeepLensNet in {start}: run `lensdream train-deep --scale {scale}` first")
    weights = {"first": paths.model / WEIGHTS, "start": start / WEIGHTS}
    _train(SECOND_STAGE, partial(fine_tuned, load_model(start)), paths, weights)


def _train(recipe: Recipe, build: Callable[[object], nn.Module], paths: Paths, weights: dict[str, Path]) -> None:
    """Train a network of the second stage, and record it.

    build: network of the settings of its shape; weights: files of weights that the training depends on. Raises
    `ValueError` for simulated images of another size than the store's.
    """
    clock, params = Clock(), paths.root / "params.yaml"
    first = load_model(paths.model)
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
    tracked(job, paths, store.stamp, clock=clock)
