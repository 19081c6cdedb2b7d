"""Networks side by side: the peers of a scale, scored as ours is and compared with it lens by lens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from lensdream.config import EvaluateConfig
from lensdream.evaluate import metrics
from lensdream.networks import load_finder, load_model, predict
from lensdream.networks.model_file import images_trained_on, is_model

FEW = "lensnet-few"
"""our network, trained on as few images as the slowest peer"""
ONE_LOOK = "one_look"
"""our network without second looks: what they gain and cost"""
MISSED = "missed_at_fpr_1e-3_ratio"
COLUMNS = {
    "accuracy": "accuracy",
    "f1": "F1",
    "auroc": "AUROC",
    "tpr_at_fpr_1e-2": "at 1e-2",
    "tpr_at_fpr_1e-3": "at 1e-3",
    MISSED: "times missed",
}
"""of the printed table"""


@dataclass(frozen=True)
class Scored:
    """A network's logits (N,) and what it is."""

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

    @classmethod
    def finder(cls, folder: Path) -> Network:
        """Read a model that is used with second looks; raises what `load_model` does."""
        return cls(load_finder(folder), images_trained_on(folder))

    def score(self, images: Tensor, batch_size: int) -> Scored:
        """Score images (N, band, y, x) [microjansky a pixel]."""
        parameters = sum(weights.numel() for weights in self.model.parameters())
        return Scored(predict(self.model, images, batch_size).numpy(), parameters, self.images_trained_on)


def read_all(folder: Path) -> dict[str, Network]:
    """Read every trained model in a subfolder of `folder`, by the subfolder's name; there may be none."""
    return {path.name: Network.read(path) for path in sorted(folder.glob("*")) if is_model(path)}


def compared(
    peers: dict[str, Scored], ours: Scored, test: np.ndarray, labels: np.ndarray, settings: EvaluateConfig
) -> dict[str, dict[str, metrics.Interval]]:
    """How many times the lenses that LensNet misses each peer misses, at a false-positive rate of 1e-3.

    `test` are the rows of the test set in the logits, `labels` theirs (0, 1). A peer trained on as many images as `FEW` is
    compared with that too.
    """
    found: dict[str, dict[str, metrics.Interval]] = {}
    for name, peer in peers.items():
        references = {MISSED: ours}
        few = peers.get(FEW, peer)
        if few is not peer and few.images_trained_on == peer.images_trained_on:
            references[f"{MISSED}_to_{FEW}"] = few
        found[name] = {
            key: metrics.bootstrap(
                lambda s, y: metrics.missed_ratio(s, y, 1e-3),
                np.stack([peer.logits[test], reference.logits[test]], 1).astype(float),
                labels,
                settings.bootstrap,
                np.random.default_rng(settings.seed),
            )
            for key, reference in references.items()
        }
    return found


def table(result: dict[str, object]) -> pd.DataFrame:
    """Networks side by side out of `evaluate.json`: a row a network, ours first."""
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
