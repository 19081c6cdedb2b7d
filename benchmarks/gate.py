"""Cost of the cascade's gate: lenses it stops, and gain and cost of lower thresholds.

For each sample of images prints the share that stays below the gate and, for lower gates, the share more that would then lie
above the survey's threshold of 1e-3 and the share of images that would enter the second stage.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
import torch

from lensdream.commands.paths import Paths
from lensdream.dataset.store import ImageStore
from lensdream.finder import operating_points
from lensdream.finder.finder import load_cascade
from lensdream.networks.cascade import GATE_THRESHOLD
from lensdream.networks.layout import SURVEY_POINTS
from lensdream.networks.predict import predict

GATES = -4.0, -5.0, -7.0


def main() -> None:
    """Score the images and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", default="poster")
    parser.add_argument("--images", type=int, default=5000, help="of each sample, at most")
    arguments = parser.parse_args()
    paths = Paths(arguments.scale)
    points = operating_points.read(paths.model, SURVEY_POINTS)
    cascade = load_cascade(paths.model, points.shares)
    cascade.gate = -np.inf  # every image goes on to the second stage
    store = ImageStore.open(paths.images)
    rng = np.random.default_rng(0)
    rows = {}
    for name, inside in samples(store.truth).items():
        chosen = np.sort(rng.permutation(np.flatnonzero(inside))[: arguments.images])
        first = scores(cascade.first, store, chosen)
        low = (first <= GATE_THRESHOLD) & (first > min(GATES))
        found = np.zeros(len(chosen), bool)
        found[low] = scores(cascade, store, chosen[low]) > points.thresholds["fpr_1e-3"]
        rows[name] = {"images": len(chosen), "below the gate": (first <= GATE_THRESHOLD).mean()}
        for gate in GATES:
            more = low & (first > gate)
            rows[name] |= {
                f"found more at {gate:g}": (found & more).mean(),
                f"looked at again at {gate:g}": (first > gate).mean(),
            }
    print(pd.DataFrame.from_dict(rows, orient="index").to_string(float_format="{:.4f}".format))


def samples(truth: pd.DataFrame) -> dict[str, np.ndarray]:
    """Masks (N,) of the samples of images."""
    test = truth["split"] == "test"
    partner = truth["partner"].map(truth.set_index("index")["family"])
    found = {name: truth["family"] == name for name in ("double_ring", "compound_arc")}
    found["matched to double rings"] = (truth["family"] == "matched_single") & (partner == "double_ring")
    found |= {"test lenses": test & (truth["label"] == 1), "test non-lenses": test & (truth["label"] == 0)}
    return {name: inside.to_numpy() for name, inside in found.items()}


def scores(network: torch.nn.Module, store: ImageStore, chosen: np.ndarray) -> np.ndarray:
    """Logits (N,) of images of a store."""
    return predict(network, torch.from_numpy(store.images(chosen))).numpy()


if __name__ == "__main__":
    main()
