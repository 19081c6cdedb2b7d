"""The train-compound stage: from the finder's weights, by the same loop, to a score that tells compound lenses."""

from __future__ import annotations

from pathlib import Path

import torch

from lensdream import tracking
from lensdream.commands.paths import Paths
from lensdream.commands.train import fit_and_record
from lensdream.dataset.store import ImageStore
from lensdream.networks.layout import WEIGHTS
from lensdream.networks.model_file import load_model
from lensdream.runtime.files import sha256_of
from lensdream.train.compound_data import lesson
from lensdream.train.recipes import trainee


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
    datasets = {"images": paths.images, "finder": paths.model / WEIGHTS}
    with tracking.stage_run(head.stage, scale, settings, root=root, datasets=datasets) as run:
        more = {
            "compound_lenses": len(train.pairs) // 2,
            "single_lenses_an_epoch": train.n_singles,
            "validation_images": len(validation),
        }
        fit_and_record(head, settings, train, validation, paths, run, store.stamp, more)
