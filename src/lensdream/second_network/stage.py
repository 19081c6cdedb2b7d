"""The train-second stage: from LensNet of twice the width, by the same loop, to the network of the second looks."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from torch import nn

from lensdream import config, tracking
from lensdream.config import PopulationConfig, SecondNetworkConfig, SimulateConfig, SurveyConfig
from lensdream.dataset import ImageStore
from lensdream.files import sha256_of
from lensdream.networks import LensNet, load_model
from lensdream.networks.model_file import SECOND, WEIGHTS, is_model
from lensdream.paths import Paths
from lensdream.second_network.images import Fresh, passed, validating
from lensdream.train import fit_and_record
from lensdream.trainees import WIDE, Trainee


def run(scale: str, root: Path = Path()) -> None:
    """Train it at a scale; writes its model, its curves and `metrics/<scale>/train-second.json`.

    Raises `FileNotFoundError` without the finder of the scale or without the wide network that it starts from.
    """
    params, paths = root / "params.yaml", Paths(scale, root)
    if not is_model(paths.peers / WIDE):
        raise FileNotFoundError(
            f"no wide network in {paths.peers / WIDE}: run `lensdream train --scale {scale} --network {WIDE}` first"
        )
    first, wide = load_model(paths.model), load_model(paths.peers / WIDE)
    second = trainee(wide)
    settings = second.read_settings(scale, params)
    store = ImageStore.open(paths.images)
    fresh = Fresh.of(
        config.load("population", PopulationConfig, scale, params),
        config.load("simulate", SimulateConfig, scale, params),
        config.load("survey", SurveyConfig, scale, params),
        settings,
    )
    digests = [sha256_of(folder / WEIGHTS) for folder in (paths.model, paths.peers / WIDE)]
    torch.set_num_threads(1)  # while workers render
    train = passed(store, first, fresh, paths.hard_negatives(second.stage) / "passed.pt", digests)
    torch.set_num_threads(settings.threads)
    validation = validating(store, first)
    datasets = {"images": paths.images, "first": paths.model / WEIGHTS, "start": paths.peers / WIDE / WEIGHTS}
    with tracking.stage_run(second.stage, scale, settings, root=root, datasets=datasets) as run:
        n_lens = int(train.data.labels.sum())
        more = {"lenses": n_lens, "non_lenses": len(train) - n_lens, "validation_images": len(validation)}
        fit_and_record(second, settings, train, validation, paths, run, store.stamp, more)


def trainee(wide: nn.Module) -> Trainee:
    """The second network as one that is trained like the others, from the weights of another."""
    return Trainee(
        "second network", "train-second", SECOND, "second_network", SecondNetworkConfig,
        lambda settings: started_from(wide, settings),
    )  # fmt: skip


def started_from(wide: LensNet, settings: SecondNetworkConfig) -> LensNet:
    """The same network with its weights, and the dropout of these settings."""
    model = LensNet(dataclasses.replace(wide.config, dropout=settings.dropout))
    model.load_state_dict(wide.state_dict())
    return model
