"""`lensdream train`: train a network of `train.recipes` at a scale, and record model, curves and metrics."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from lensdream import config
from lensdream.commands.paths import Paths
from lensdream.config import PopulationConfig, SimulateConfig, Training
from lensdream.dataset.labelled import LabelledImages, TrainingImages
from lensdream.dataset.store import ImageStore
from lensdream.networks.model_file import LARGEST_CHANGE, load_model, logit_change, save_model
from lensdream.runtime.distributed import ALONE, Ranks, started_ranks
from lensdream.runtime.files import write_json
from lensdream.train.loop import EpochRecord, FitResult, fit
from lensdream.train.recipes import Recipe, recipe_of

if TYPE_CHECKING:
    from lensdream.tracking.runs import StageRun


@dataclass(frozen=True)
class Job:
    """Training that is ready to start: recipe, settings, network and images."""

    recipe: Recipe
    settings: Any
    """of `recipe.settings_type`; `settings.fit` are those of the fit"""
    build: Callable[[], nn.Module]
    train: TrainingImages
    validation: LabelledImages
    weights: Mapping[str, Path] = field(default_factory=dict)
    """files of weights that the training depends on, by their role"""
    more_metrics: Mapping[str, int] = field(default_factory=dict)
    """written in addition to the usual metrics"""
    training_odds: float | None = None
    """label-1 images for every label-0 image, where the model's file has to say"""


def run(scale: str, network: str = "lensnet", root: Path = Path()) -> None:
    """Train a network of `RECIPES` at a scale; writes its model, its curves and `metrics/<scale>/train[-network].json`.

    Training images are the store's (`images` of them) or `fresh_scenes` new ones an epoch; validation images the store's.
    """
    recipe = recipe_of(network)
    settings = recipe.read_settings(scale, root / "params.yaml")
    paths = Paths(scale, root)
    store = ImageStore.open(paths.images)
    validation = LabelledImages.from_store(store, "validation")
    torch.set_num_threads(settings.fit.threads)
    with started_ranks() as ranks, training_images(recipe, settings, store, paths, ranks) as train:
        job = Job(recipe, settings, partial(recipe.build, settings.network), train, validation)
        if ranks.first:
            tracked(job, paths, store.stamp, {"network": network}, ranks)
            return
        fit(job.build, settings.fit, train, validation, checkpoint=paths.checkpoint(recipe.stage), ranks=ranks)


def tracked(job: Job, paths: Paths, stamp: int, tags: Mapping[str, str] | None = None, ranks: Ranks = ALONE) -> None:
    """Run a job as a stage, recorded in MLflow."""
    from lensdream import tracking  # MLflow takes seconds to import, and machines that only train do without

    datasets = {"images": paths.images} | job.weights
    torch.set_num_threads(job.settings.fit.threads)
    stage = job.recipe.stage
    with tracking.stage_run(stage, paths.scale, job.settings, root=paths.root, datasets=datasets) as run:
        run.tags(tags or {})
        fit_and_record(job, paths, run, stamp, ranks)


def fit_and_record(job: Job, paths: Paths, run: StageRun, stamp: int, ranks: Ranks = ALONE) -> None:
    """Fit a network, and write and log its model, curves and metrics; the best epoch so far is always on disk.

    stamp: side of the images [pixel].
    """
    recipe, train = job.recipe, job.train
    started = time.perf_counter()
    folder, checkpoint = paths.model / recipe.folder, paths.checkpoint(recipe.stage)

    def save(model: nn.Module, epoch: int, *, round_weights: bool = True) -> None:
        images = train.n_distinct(epoch + 1)
        save_model(folder, model, stamp, images, job.training_odds, round_weights=round_weights)

    def on_epoch(record: EpochRecord, model: nn.Module, best: bool) -> None:
        run.metrics(dataclasses.asdict(record), step=record.epoch)
        if best:
            save(model, record.epoch)
        print(
            f"epoch {record.epoch:3d}  train {record.train_loss:.4f}  validation {record.validation_loss:.4f}  "
            f"auroc {record.validation_auroc:.4f}  {record.images_per_second:.0f} images/s{'  best' if best else ''}",
            flush=True,
        )

    result = fit(
        job.build, job.settings.fit, train, job.validation, checkpoint=checkpoint, on_epoch=on_epoch, ranks=ranks
    )
    save(result.model, result.best_epoch)
    change = logit_change(result.model, load_model(folder), job.validation.images)
    if change > LARGEST_CHANGE:
        save(result.model, result.best_epoch, round_weights=False)
        print(f"float16 changes a logit by {change:.3f}, more than {LARGEST_CHANGE}: weights are stored in float32")
    best = result.records[result.best_epoch]
    kept = {"validation_loss": best.validation_loss, "validation_auroc": best.validation_auroc}
    metrics = {
        "best_epoch": result.best_epoch,
        "epochs": len(result.records),
        **kept,
        "images_per_second": round(float(np.median([r.images_per_second for r in result.records])), 1),
        "seconds": round(sum(r.seconds for r in result.records), 1),
        "parameters": sum(p.numel() for p in result.model.parameters()),
        "images_an_epoch": len(train),
        "logit_change_by_float16": round(change, 5),
        **job.more_metrics,
    }
    write_curves(result, recipe, paths)
    write_json(paths.metrics(recipe.stage), metrics)
    # under other names than the curves', which these values would overwrite at step 0
    run.metrics({f"best_{name}" if name.startswith("validation") else f"run_{name}": v for name, v in metrics.items()})
    run.figure(paths.figures / recipe.stage / "losses.png")
    run.checkpoint(folder, best.epoch, kept)
    checkpoint.unlink(missing_ok=True)
    shutil.rmtree(paths.kept(recipe.stage), ignore_errors=True)
    print(f"best epoch {result.best_epoch} of {len(result.records)}, {time.perf_counter() - started:.0f} s")


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


def write_curves(result: FitResult, recipe: Recipe, paths: Paths) -> None:
    """Write training and validation loss by epoch, as `metrics/<scale>/epochs[-network].csv` and a figure."""
    import matplotlib.pyplot as plt
    import pandas as pd

    table = pd.DataFrame([dataclasses.asdict(record) for record in result.records])
    path = paths.epochs(recipe.stage)
    path.parent.mkdir(parents=True, exist_ok=True)
    table.drop(columns=["seconds", "images_per_second"]).to_csv(path, index=False, float_format="%.6g")
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    axes.plot(table["epoch"], table["train_loss"], label="training (as trained, with dropout)")
    axes.plot(table["epoch"], table["validation_loss"], label="validation")
    axes.axvline(result.best_epoch, color="0.6", ls=":", label=f"best epoch, {result.best_epoch}")
    axes.set(xlabel="epoch", ylabel="binary cross-entropy", yscale="log", title=f"{recipe.title}, {paths.scale} scale")
    axes.legend()
    target = paths.figures / recipe.stage / "losses.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=120)
    plt.close(figure)
