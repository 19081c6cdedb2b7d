"""A repository for a search, and a training that only pretends; two test files and their workers share them."""

import json

import numpy as np
import pandas as pd
import pytest

from lensdream import tracking
from lensdream.dataset.store import SCHEMA_VERSION
from lensdream.instrument import Band
from lensdream.runtime.files import sha256_of
from lensdream.train.loop import EpochRecord, FitResult

STAMP = 32


PARAMS = """\
# Settings of a test.

lensnet:
  fit:
    seed: 1               # of weights [0, 2^31)
    learning_rate: 0.002  # peak [1e-6, 1]
    final_rate: 0.01
    weight_decay: 0.02
    clip_norm: 1.0
    balanced: false
    dihedral: true
    patience: 0
    warmup_epochs: 0.5    # [epoch]
    batch_size: 32        # [2, 65536]
    shift_pixels: 2       # [pixel; 0, 16]
    band_dropout: 0.1
    gain_scatter: 0.03
    label_smoothing: 0.01 # [0, 0.4]
    averaging: 0.5        # [0, 0.99999]
    threads: 1            # [1, 1024]
  network:
    width: 16             # channels of the first block [4, 512]
    middle_pixels: 64
    dropout: 0.2          # before the last layer [0, 0.9]
  images: 0
  fresh_scenes: 0
  hard_negatives: 0
  hard_rounds: 0

tune:
  seed: 5                 # not lensnet.fit.seed

scales:
  quick:
    lensnet:
      fit:
        epochs: 14        # [1, 1e4]
    tune:
      trials: 2           # [1, 1e5]
      images: 64
      epochs: 2
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A repository with settings, images and MLflow's database."""
    root = tmp_path_factory.mktemp("prepared")
    (root / "params.yaml").write_text(PARAMS)
    folder = root / "artifacts" / "quick" / "images"
    folder.mkdir(parents=True)
    generator = np.random.default_rng(1)
    labels = np.arange(160) % 2
    images = generator.normal(0.0, 0.003, (160, len(Band), STAMP, STAMP))
    images[labels == 1, :, 12:20, 12:20] += 0.05
    np.save(folder / "images-00000.npy", images.astype(np.float16))
    splits = np.repeat(["train", "validation"], [120, 40])
    pd.DataFrame({"label": labels, "split": splits}).to_parquet(folder / "truth.parquet")
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "bands": [band.name for band in Band],
        "n": len(labels),
        "stamp": STAMP,
        "shard_size": len(labels),
        "sha256": {name: sha256_of(folder / name) for name in ("images-00000.npy", "truth.parquet")},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    tracking.ui_command(root)
    return root


def wanted(root, trials):
    path = root / "params.yaml"
    path.write_text(path.read_text().replace("trials: 2", f"trials: {trials}"))


def pretend(curve):
    """A training whose validation AUROC in each epoch is `curve(call)[epoch]`."""
    calls = []

    def fit(build, settings, train, validation, *, checkpoint=None, on_epoch):
        calls.append((build(), settings))
        records = []
        for epoch, auroc in enumerate(curve(len(calls) - 1)):
            records.append(EpochRecord(epoch, 0.5, 1 - auroc, 0.9, 0.8, auroc, 0.6, 0.001, 1.0, 100.0))
            on_epoch(records[-1], None, True)
        return FitResult(None, int(np.argmax([record.validation_auroc for record in records])), records)

    return fit, calls
