"""Weights of the finder's two networks in the cascade's second stage, and the cost of the stage.

Prints a table by the second one's weight, from the logits that the evaluate stage stored: weight 0 is LensNet alone, 1 the
second network alone, the finder as it is. Then the finder's loss on images that pass the gate, by family, and on the
others, and images a second of one pass of each network, on one core.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd
import torch

from lensdream import metrics
from lensdream.commands.paths import Paths
from lensdream.instrument import N_BANDS
from lensdream.networks.cascade import GATE_THRESHOLD
from lensdream.networks.model_file import load_model
from lensdream.networks.predict import CPU_BATCH, predict
from lensdream.train.second_stage_data import EASY

WEIGHTS = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0)
RATES = (1e-2, 3e-3, 1e-3)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", default="poster")
    parser.add_argument(
        "--images", type=int, default=8 * CPU_BATCH, help=f"that are timed, at least 1 (default {8 * CPU_BATCH})"
    )
    arguments = parser.parse_args()
    paths = Paths(arguments.scale)
    scores = pd.read_parquet(paths.scores / "test.parquet").query("label >= 0")
    rows = []
    for split, part in scores.groupby("split", sort=False):
        labels, finder, alone = (part[name].to_numpy() for name in ("label", "logit", "logit_alone"))
        again = part["logit_one_look"].to_numpy() > GATE_THRESHOLD
        for weight in WEIGHTS:
            logits = np.where(again, (1 - weight) * alone + weight * finder, finder)
            found = {f"tpr_at_{rate:g}": metrics.tpr_at_fpr(logits, labels, rate) for rate in RATES}
            loss = losses(logits, labels).mean()
            accuracy = ((logits > 0) == (labels == 1)).mean()
            rows.append({"split": split, "weight": weight, "loss": loss, "accuracy": accuracy} | found)
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda value: f"{value:.4f}"))
    through = scores[scores["logit_one_look"] > GATE_THRESHOLD]
    through = through.assign(loss=losses(through["logit"].to_numpy(), through["label"].to_numpy()))
    print(through.groupby("family")["loss"].agg(["size", "mean"]).to_string(float_format=lambda value: f"{value:.3f}"))
    lenses = through[through["label"] == 1]
    plain = lenses[lenses["logit_one_look"] > EASY]
    print(f"plain lenses: {len(plain) / len(lenses):.3f} of them, of a mean loss of {plain['loss'].mean():.5f}")
    torch.set_num_threads(1)
    images = 0.01 * torch.randn(arguments.images, N_BANDS, 80, 80)
    for name, folder in (("first", paths.model), ("second", paths.second)):
        model = load_model(folder).to(memory_format=torch.channels_last)
        predict(model, images[:CPU_BATCH])  # warms up
        started = time.perf_counter()
        predict(model, images)
        print(f"{name} look: {len(images) / (time.perf_counter() - started):.0f} images/s")


def losses(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Cross-entropy of each logit against its label of 0 or 1."""
    return np.logaddexp(0, np.where(labels == 1, -logits, logits))


if __name__ == "__main__":
    main()
