"""`lensdream class-prior`: fit the class prior of the second stage at a scale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from lensdream import config
from lensdream.commands.paths import Paths
from lensdream.commands.timings import timed_run
from lensdream.config import ClassPriorConfig, SecondStageFineTuning
from lensdream.dataset import on_the_fly
from lensdream.dataset.store import ImageStore
from lensdream.networks.class_prior import save_class_prior
from lensdream.networks.layout import WEIGHTS, is_model
from lensdream.networks.model_file import load_model
from lensdream.runtime.files import write_json
from lensdream.train.class_prior_fit import (
    draw_non_lenses,
    fit_class_prior,
    gated_features,
    measure_class_prior,
)
from lensdream.train.second_stage_data import OnTheFlyMix, classes_per_lens


def run(scale: str, root: Path = Path()) -> None:
    """Fit the class prior of a scale; writes `models/<scale>/kinds` and `metrics/<scale>/class-prior.json`.

    Raises `FileNotFoundError` without a second stage, `ValueError` where too few images pass the gate.
    """
    paths, params = Paths(scale, root), root / "params.yaml"
    if not is_model(paths.second):
        raise FileNotFoundError(
            f"no second stage in {paths.second}: run `lensdream train --scale {scale} --recipe second_stage` first"
        )
    settings = config.load("class_prior", ClassPriorConfig, scale, params)
    network, store = load_model(paths.second).to(memory_format=torch.channels_last), ImageStore.open(paths.images)
    fresh = config.load("second_stage", SecondStageFineTuning, scale, params).fresh
    scenes = OnTheFlyMix.read(scale, params, fresh)
    on_the_fly.require_size(scenes.simulate, store)
    datasets = {"images": paths.images, "second": paths.second / WEIGHTS}
    with timed_run("class-prior", scale, settings, root=root, datasets=datasets) as run:
        torch.set_num_threads(1)  # while workers render
        parts = draw_non_lenses(scenes, settings.fresh_of_each)
        features, classes = gated_features(parts, load_model(paths.model), network, settings.seed)
        held_out = np.random.default_rng(settings.seed).random(len(classes)) < settings.held_out
        trained_on = classes_per_lens(store, scenes)
        prior = fit_class_prior(features[~held_out], classes[~held_out], trained_on, settings.penalty)
        save_class_prior(paths.model, prior)
        result = measure_class_prior(prior, features[held_out], classes[held_out])
        result["let_through"] = {
            name: float((classes == k).sum() / settings.fresh_of_each) for k, name in enumerate(prior.names)
        }
        result["trained_on"] = dict(zip(prior.names, prior.trained_on.tolist(), strict=True))
        write_json(paths.metrics("class-prior"), result)
        run.metrics({name: value for name, value in result.items() if not isinstance(value, dict)})
    print(report(result))


def report(result: dict[str, object]) -> str:
    """Table of the result for the terminal."""
    lines = [
        f"{result['n_held_out']} held out: {result['accuracy']:.3f} correct, cross-entropy {result['cross_entropy']:.3f}",
        f"  {'class':15s} {'past gate':>12s} {'correct':>11s} {'per lens':>12s}",
    ]
    for name, share in result["let_through"].items():
        correct = result["told"].get(name)
        correct = "-" if correct is None else f"{correct:.3f}"
        lines.append(f"  {name:15s} {share:12.4f} {correct:>11s} {result['trained_on'][name]:12.4f}")
    return "\n".join(lines)
