"""Trainings: a job that is ready to start, its fit, and the record of model, curves and metrics."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from lensdream.commands.paths import Paths
from lensdream.commands.timings import Clock, timed_run
from lensdream.dataset.labelled import LabelledImages, TrainingImages
from lensdream.networks.model_file import LARGEST_CHANGE, load_model, logit_change, save_model
from lensdream.plots import curves
from lensdream.runtime.distributed import ALONE, Ranks
from lensdream.runtime.files import write_json
from lensdream.train.loop import EpochRecord, FitResult, fit
from lensdream.train.measure import parting_epoch
from lensdream.train.recipes import Recipe

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


def tracked(
    job: Job,
    paths: Paths,
    stamp: int,
    tags: Mapping[str, str] | None = None,
    ranks: Ranks = ALONE,
    *,
    clock: Clock,
) -> None:
    """Run a job as a stage, recorded in MLflow; clock: made before the training's images were, which may take long."""
    datasets = {"images": paths.images} | job.weights
    torch.set_num_threads(job.settings.fit.threads)
    stage = job.recipe.stage
    # MLflow's `seconds` and `images_per_second` of a training are the curves of its epochs
    with timed_run(
        stage, paths.scale, job.settings, root=paths.root, datasets=datasets, clock=clock, prefix="run_"
    ) as run:
        run.tags(tags or {})
        fit_and_record(job, paths, run, stamp, clock, ranks)


def fit_and_record(job: Job, paths: Paths, run: StageRun, stamp: int, clock: Clock, ranks: Ranks = ALONE) -> None:
    """Fit a network, and write and log its model, curves and metrics; the best epoch so far is always on disk.

    stamp: side of the images [pixel]; clock: is given the speed, and the duration of epochs before an interruption.
    """
    recipe, train = job.recipe, job.train
    trained_here: set[int] = set()
    folder, checkpoint = paths.model / recipe.folder, paths.checkpoint(recipe.stage)

    def save(model: nn.Module, epoch: int, epochs: int, *, round_weights: bool = True) -> None:
        images = train.n_distinct(epoch + 1)
        facts = {"recipe": recipe.block, "seed": job.settings.fit.seed, "epochs": epochs, "best_epoch": epoch}
        save_model(folder, model, stamp, images, job.training_odds, training=facts, round_weights=round_weights)

    def on_epoch(record: EpochRecord, model: nn.Module, best: bool) -> None:
        trained_here.add(record.epoch)
        run.metrics(dataclasses.asdict(record), step=record.epoch)
        if best:
            save(model, record.epoch, record.epoch + 1)
        print(
            f"epoch {record.epoch:3d}  loss: training {record.train_loss:.4f}, validation {record.validation_loss:.4f}  "
            f"accuracy: {record.train_accuracy:.4f}, {record.validation_accuracy:.4f}  "
            f"auroc {record.validation_auroc:.4f}  {record.images_per_second:.0f} images/s{'  best' if best else ''}",
            flush=True,
        )

    result = fit(
        job.build, job.settings.fit, train, job.validation, checkpoint=checkpoint, on_epoch=on_epoch, ranks=ranks
    )
    clock.images_per_second = float(np.median([r.images_per_second for r in result.records]))
    clock.earlier = sum(r.seconds for r in result.records if r.epoch not in trained_here)
    save(result.model, result.best_epoch, len(result.records))
    change = logit_change(result.model, load_model(folder), job.validation.images)
    if change > LARGEST_CHANGE:
        save(result.model, result.best_epoch, len(result.records), round_weights=False)
        print(f"float16 changes a logit by {change:.3f}, more than {LARGEST_CHANGE}: weights are stored in float32")
    best = result.records[result.best_epoch]
    names = ("validation_loss", "validation_auroc", "train_accuracy", "validation_accuracy")
    kept = {name: getattr(best, name) for name in names}
    accuracies = [[getattr(r, name) for r in result.records] for name in ("train_accuracy", "validation_accuracy")]
    n_validation = len(job.validation)
    metrics = {
        "best_epoch": result.best_epoch,
        "epochs": len(result.records),
        "seed": job.settings.fit.seed,
        **kept,
        "parting_epoch": parting_epoch(*accuracies, min(len(train), n_validation), n_validation),
        "parameters": sum(p.numel() for p in result.model.parameters()),
        "images_an_epoch": len(train),
        "logit_change_by_float16": round(change, 5),
        **job.more_metrics,
    }
    write_curves(result, recipe, paths)
    write_json(paths.metrics(recipe.stage), metrics)
    # under other names than the curves', which these values would overwrite at step 0
    named = {f"best_{name}" if name in kept else f"run_{name}": value for name, value in metrics.items()}
    run.metrics({name: value for name, value in named.items() if value is not None})
    run.figure(paths.figures / recipe.stage / "losses.png")
    run.checkpoint(folder, best.epoch, kept)
    checkpoint.unlink(missing_ok=True)
    shutil.rmtree(paths.kept(recipe.stage), ignore_errors=True)
    print(f"best epoch {result.best_epoch} of {len(result.records)}, {clock.seconds:.0f} s")


def write_curves(result: FitResult, recipe: Recipe, paths: Paths) -> None:
    """Write losses and accuracies by epoch, as `metrics/<scale>/epochs[-network].csv` and a figure.

    The column `kept` is 1 in the epoch whose weights are kept, 0 in the others.
    """
    table = pd.DataFrame([dataclasses.asdict(record) for record in result.records])
    table["kept"] = (table["epoch"] == result.best_epoch).astype(int)
    path = paths.epochs(recipe.stage)
    path.parent.mkdir(parents=True, exist_ok=True)
    table.drop(columns=["seconds", "images_per_second"]).to_csv(path, index=False, float_format="%.6g")
    target = paths.figures / recipe.stage / "losses.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    curves.draw(table, f"{recipe.title}, {paths.scale} scale").savefig(target, dpi=200)
