"""A store of partners and a finder, for the training of a compound classifier."""

import dataclasses

import numpy as np
import pandas as pd
import torch
import yaml

from conftest import write_images
from lensdream import families
from lensdream.commands.paths import Paths
from lensdream.config import CompoundTraining, Fit, WarmStart
from lensdream.dataset.store import ImageStore
from lensdream.instrument import EUCLID, Band
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.model_file import save_model

SETTINGS = CompoundTraining(
    Fit(
        seed=3, learning_rate=0.01, final_rate=0.01, weight_decay=0.01, warmup_epochs=0.5, batch_size=16,
        clip_norm=1.0, balanced=False, dihedral=True, shift_pixels=1, band_dropout=0.0, gain_scatter=0.0,
        label_smoothing=0.0, averaging=0.8, patience=0, epochs=4, threads=1,
    ),
    WarmStart(dropout=0.1), held_out=0.2, singles_per_compound=1.5,
)  # fmt: skip


def start_of(root):
    """Files of a scale with a finder and settings of four epochs, no store yet."""
    paths = Paths("tiny", root)
    torch.manual_seed(0)
    save_model(paths.model, LensNet(LensNetConfig(8, 0.3)), 32)
    document = {"compound_classifier": dataclasses.asdict(SETTINGS), "scales": {"tiny": {}}}
    (root / "params.yaml").write_text(yaml.safe_dump(document))
    return paths


def truth_of(n_pairs=20, n_train=40, n_validation=12):
    """Single lenses of two splits with a non-lens each, then `n_pairs` compound lenses each followed by its partner."""
    rows = [("lens", "train", 1, -1)] * n_train + [("ring", "train", 0, -1)]
    rows += [("lens", "validation", 1, -1)] * n_validation + [("spiral", "validation", 0, -1)]
    first = 1000  # indices are no positions
    for k in range(n_pairs):
        here = first + len(rows)
        family = "compound_arc" if k < n_pairs // 2 else "double_ring"
        rows += [(family, "compound_train", 1, here + 1), ("matched_single", "compound_train", 1, here)]
    rows += [
        ("double_ring", "compound", 1, first + len(rows) + 1),
        ("matched_single", "compound", 1, first + len(rows)),
    ]
    truth = pd.DataFrame(rows, columns=["family", "split", "label", "partner"])
    return truth.assign(index=np.arange(first, first + len(rows)))


def write_store(paths, truth):
    """Noise, in lenses a bright square, in compound ones a second one below it."""
    rng = np.random.default_rng(1)
    sigma = np.array(EUCLID.sky_sigma)[:, None, None]
    pixels = rng.normal(size=(len(truth), len(Band), 32, 32)) * sigma
    pixels[truth["label"] == 1, :, 12:16, 12:20] += 5 * sigma
    pixels[truth["family"].isin(families.COMPOUND), :, 18:22, 12:20] += 5 * sigma
    write_images(paths.images, truth, pixels)
    return ImageStore.open(paths.images)
