"""The train-second stage: from what the first look lets through to the network of the second looks, by the same loop."""

from __future__ import annotations

from pathlib import Path

import torch

from lensdream import tracking
from lensdream.dataset import ImageStore
from lensdream.files import sha256_of
from lensdream.networks import load_model
from lensdream.networks.model_file import WEIGHTS
from lensdream.paths import Paths
from lensdream.second_network.images import Fresh, passed, validating
from lensdream.train import fit_and_record
from lensdream.trainees import SECOND_NETWORK


def run(scale: str, root: Path = Path()) -> None:
    """Train it at a scale; writes its model, its curves and `metrics/<scale>/train-second.json`.

    Raises `FileNotFoundError` without the LensNet of the scale.
    """
    params, paths = root / "params.yaml", Paths(scale, root)
    first = load_model(paths.model)
    settings = SECOND_NETWORK.read_settings(scale, params)
    store = ImageStore.open(paths.images)
    fresh = Fresh.read(scale, params)
    torch.set_num_threads(1)  # while workers render
    kept = paths.hard_negatives(SECOND_NETWORK.stage) / "passed.pt"
    train = passed(store, first, fresh, kept, sha256_of(paths.model / WEIGHTS))
    torch.set_num_threads(settings.threads)
    validation = validating(store, first)
    datasets = {"images": paths.images, "first": paths.model / WEIGHTS}
    with tracking.stage_run(SECOND_NETWORK.stage, scale, settings, root=root, datasets=datasets) as run:
        n_lens = int(train.data.labels.sum())
        more = {"lenses": n_lens, "non_lenses": len(train) - n_lens, "validation_images": len(validation)}
        fit_and_record(SECOND_NETWORK, settings, train, validation, paths, run, store.stamp, more)
