"""The train-compound stage: from the finder's weights, by the same loop, to a score that tells compound lenses."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from lensdream import tracking
from lensdream.compound_head.images import Lesson, lesson
from lensdream.compound_head.network import trainee
from lensdream.dataset import ImageStore
from lensdream.dataset.store import sha256_of
from lensdream.files import write_json
from lensdream.networks import load_model, save_model
from lensdream.networks.model_file import WEIGHTS
from lensdream.paths import Paths
from lensdream.train import EpochRecord, fit, write_curves


def run(scale: str, root: Path = Path()) -> None:
    """Train it at a scale; writes its model, its curves and `metrics/<scale>/train-compound.json`.

    Raises `FileNotFoundError` without the finder of the scale, `ValueError` without scenes to learn from.
    """
    paths = Paths(scale, root)
    head = trainee(load_model(paths.model))
    settings = head.read_settings(scale, root / "params.yaml")
    store = ImageStore.open(paths.images)
    train, validation = lesson(store, settings, sha256_of(paths.model / WEIGHTS))
    torch.set_num_threads(settings.threads)
    started = time.perf_counter()
    datasets = {"images": paths.images, "finder": paths.model / WEIGHTS}
    with tracking.stage_run(head.stage, scale, settings, root=root, datasets=datasets) as run:
        folder, checkpoint = head.model(paths), paths.checkpoint(head.stage)

        def on_epoch(record: EpochRecord, model: nn.Module, best: bool) -> None:
            run.metrics(dataclasses.asdict(record), step=record.epoch)
            if best:
                save_model(folder, model, store.stamp, images_seen(train, record.epoch + 1))
            print(
                f"epoch {record.epoch:3d}  train {record.train_loss:.4f}  validation {record.validation_loss:.4f}  "
                f"auroc {record.validation_auroc:.4f}  {record.images_per_second:.0f} images/s{'  best' if best else ''}"
            )

        result = fit(head.build, settings, train, validation, checkpoint=checkpoint, on_epoch=on_epoch)
        save_model(folder, result.model, store.stamp, images_seen(train, result.best_epoch + 1))
        best = result.records[result.best_epoch]
        metrics = {
            "best_epoch": result.best_epoch,
            "epochs": len(result.records),
            "validation_loss": best.validation_loss,
            "validation_auroc": best.validation_auroc,
            "images_per_second": round(float(np.median([r.images_per_second for r in result.records])), 1),
            "seconds": round(sum(r.seconds for r in result.records), 1),
            "parameters": sum(p.numel() for p in result.model.parameters()),
            "images_an_epoch": len(train),
            "compound_lenses": len(train.pairs) // 2,
            "single_lenses_an_epoch": train.n_singles,
            "validation_images": len(validation),
        }
        write_curves(result, head, paths)
        write_json(paths.metrics(head.stage), metrics)
        # under other names than the curves', which these values would overwrite at step 0
        run.metrics(
            {f"best_{name}" if name.startswith("validation") else f"run_{name}": v for name, v in metrics.items()}
        )
        run.figure(paths.figures / head.stage / "losses.png")
        kept = {"validation_loss": best.validation_loss, "validation_auroc": best.validation_auroc}
        run.checkpoint(folder, best.epoch, kept)
        checkpoint.unlink(missing_ok=True)
    print(f"best epoch {result.best_epoch} of {len(result.records)}, {time.perf_counter() - started:.0f} s")


def images_seen(train: Lesson, epochs: int) -> int:
    """How many different images the first `epochs` epochs have."""
    return len(train.pairs) + min(len(train.singles), epochs * train.n_singles)
