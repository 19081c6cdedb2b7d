"""Baselines of a scale: stages of the finder and other networks, scored on the same images and compared lens by lens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from lensdream import metrics
from lensdream.config import EvaluateConfig
from lensdream.finder import operating_points
from lensdream.networks.cascade import Cascade
from lensdream.networks.layout import BASELINES, SECOND_STAGE, images_trained_on, is_model
from lensdream.networks.model_file import load_model
from lensdream.networks.predict import predict

ONE_LOOK = "one_look"
"""the first stage alone, one orientation"""
ALONE = "alone"
"""with second looks, but without the second network: what that gains"""
MISSED = "missed_at_fpr_1e-3_ratio"
COLUMNS = {
    "accuracy": "accuracy",
    "f1": "F1",
    "auroc": "AUROC",
    "tpr_at_fpr_1e-2": "at 1e-2",
    "tpr_at_fpr_1e-3": "at 1e-3",
    MISSED: "times missed",
}
"""columns of the printed table: metric and heading"""


@dataclass(frozen=True)
class Scored:
    """Logits (N,) of a network, its size and its training set's."""

    logits: np.ndarray
    parameters: int
    images_trained_on: int | None
    """None where an older version trained it"""


@dataclass(frozen=True)
class Network:
    """A trained network."""

    model: nn.Module
    images_trained_on: int | None

    @classmethod
    def read(cls, folder: Path) -> Network:
        """Read a model; raises what `load_model` does."""
        return cls(load_model(folder).to(memory_format=torch.channels_last), images_trained_on(folder))

    def score(self, images: Tensor, batch_size: int) -> Scored:
        """Score images (N, band, y, x) [microjansky a pixel]."""
        logits = predict(self.model, images, batch_size).numpy()
        return Scored(logits, parameters(self.model), self.images_trained_on)


def parameters(model: nn.Module) -> int:
    """Number of trained weights of a network."""
    return sum(weights.numel() for weights in model.parameters())


def read_all(folder: Path) -> dict[str, Network]:
    """Read the stages of the finder and every trained baseline, by name; a model may be without baselines."""
    found = {ONE_LOOK: Network.read(folder)}
    if is_model(folder / SECOND_STAGE):
        alone = Cascade(load_model(folder)).to(memory_format=torch.channels_last).eval()
        found |= {ALONE: Network(alone, images_trained_on(folder)), SECOND_STAGE: Network.read(folder / SECOND_STAGE)}
    return found | {name: Network.read(path) for name, path in baseline_folders(folder).items()}


def baseline_folders(folder: Path) -> dict[str, Path]:
    """Folders of the trained baselines of the model in `folder`, by name."""
    return {path.name: path for path in sorted((folder / BASELINES).glob("*")) if is_model(path)}


def missed_ratios(
    others: dict[str, Scored], ours: Scored, test: np.ndarray, labels: np.ndarray, settings: EvaluateConfig
) -> dict[str, dict[str, metrics.Interval]]:
    """Lenses missed by each network relative to those missed by the finder, at a false-positive rate of 1e-3.

    `test`: rows of the test set in the logits; `labels`: of these rows (0, 1). NaN for fewer than 1,000 non-lenses.
    """
    if "1e-3" not in operating_points.measurable(int((labels == 0).sum())):
        return {name: {MISSED: metrics.UNKNOWN} for name in others}
    return {
        name: {
            MISSED: metrics.bootstrap(
                lambda s, y: metrics.missed_ratio(s, y, 1e-3),
                np.stack([baseline.logits[test], ours.logits[test]], 1).astype(float),
                labels,
                settings.bootstrap,
                np.random.default_rng(settings.seed),
            )
        }
        for name, baseline in others.items()
    }


def table(result: dict[str, object]) -> pd.DataFrame:
    """Table of the networks in `evaluate.json`, a row each, the finder first."""
    blocks = {"lensnet": result} | {name: block for name, block in result.items() if is_block(block)}
    rows = {
        name: {"parameters": block.get("parameters"), "images": block.get("images_trained_on")}
        | {title: block.get(key, {}).get("value") for key, title in COLUMNS.items()}
        for name, block in blocks.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").astype({"parameters": "Int64", "images": "Int64"})


def is_block(value: object) -> bool:
    """Whether an entry of `evaluate.json` is a network's block."""
    return isinstance(value, dict) and "auroc" in value
