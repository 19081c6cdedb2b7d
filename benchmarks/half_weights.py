"""Weights in float16: how much a logit changes, for each network of a model folder, and for the finder they make up.

A copy of the folder is rounded as `save_model` rounds, and both score the same images. An image whose first-stage logit
crosses the gate is counted, and left out of the finder's change: there the other network decides. `--write` puts the rounded
files in place of the folder's where no logit changes by more than the bound, and refuses otherwise; a class prior is written
again, as it names the weights of its second stage. Thresholds of the folder are of other weights from then on: measure again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import safetensors.torch
import torch
from torch import Tensor

from lensdream.dataset.store import ImageStore
from lensdream.finder import operating_points
from lensdream.finder.finder import load_cascade
from lensdream.finder.operating_points import PointsError
from lensdream.networks.cascade import Cascade
from lensdream.networks.class_prior import load_class_prior, save_class_prior
from lensdream.networks.compound import CompoundClassifier
from lensdream.networks.layout import CLASS_PRIOR, COMPOUND, SECOND_STAGE, SETTINGS, WEIGHTS, is_model
from lensdream.networks.model_file import LARGEST_CHANGE, load_model, rounded
from lensdream.networks.predict import predict
from lensdream.runtime.files import sha256_of, write_whole

SEED = 0
"""of the choice of images"""


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, nargs="?", default=Path("models/quick"), help="folder (models/quick)")
    parser.add_argument(
        "--images", type=Path, default=Path("artifacts/quick/images"), help="store (artifacts/quick/images)"
    )
    parser.add_argument("--number", type=int, default=2000, help="of images, at most (default 2000)")
    parser.add_argument("--write", action="store_true", help="round the files in place")
    arguments = parser.parse_args()
    images = some_images(arguments.images, arguments.number)
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(shutil.copytree(arguments.model, Path(scratch) / "model"))
        files = round_files(copy)
        rows = {name or ".": compared(arguments.model / name, copy / name, images) for name in network_folders(copy)}
        rows |= compared_cascades(arguments.model, copy, images)
        print(pd.DataFrame.from_dict(rows, orient="index").convert_dtypes().to_string(float_format="{:.5f}".format))
        sums = {name: {"before": sha256_of(arguments.model / name), "after": sha256_of(copy / name)} for name in files}
        worst = max(row["largest_change"] for row in rows.values())
        found = {"images": len(images), "bound": LARGEST_CHANGE, "networks": rows, "sha256": sums}
        print(json.dumps(found | {"written": arguments.write and worst <= LARGEST_CHANGE}, indent=2))
        if not arguments.write:
            return
        if worst > LARGEST_CHANGE:
            raise SystemExit(f"a logit changes by {worst:.3f}, more than {LARGEST_CHANGE}: nothing is written")
        for name in files:
            write_whole(arguments.model / name, (copy / name).read_bytes())


def some_images(folder: Path, number: int) -> Tensor:
    """Images (N, band, y, x) float16 of a store, chosen by chance [microjansky a pixel]."""
    store = ImageStore.open(folder)
    chosen = np.random.default_rng(SEED).permutation(len(store))[:number]
    return torch.from_numpy(store.images(np.sort(chosen)))


def network_folders(folder: Path) -> list[str]:
    """Folders of all networks in that of a model, relative to it, its own first."""
    found = sorted(path.parent.relative_to(folder) for path in folder.rglob(SETTINGS) if is_model(path.parent))
    return ["" if path == Path() else path.as_posix() for path in found]


def round_files(folder: Path) -> list[str]:
    """Round the weights in a model folder; returns the paths of the files that changed, relative to it."""
    prior = load_class_prior(folder) if (folder / CLASS_PRIOR).is_file() else None
    written = []
    for name in (Path(part, WEIGHTS).as_posix() for part in network_folders(folder)):
        state = safetensors.torch.load_file(folder / name)
        if any(tensor.dtype != state[key].dtype for key, tensor in rounded(state).items()):
            (folder / name).write_bytes(safetensors.torch.save(rounded(state)))
            written.append(name)
    if prior is None or Path(SECOND_STAGE, WEIGHTS).as_posix() not in written:
        return written
    save_class_prior(folder, prior)
    return [*written, CLASS_PRIOR.as_posix()]


def compared(folder: Path, other: Path, images: Tensor) -> dict[str, float]:
    """Change of the logits of one network, as it is and rounded, and the lengths of its files."""
    one, two = (predict(load_model(path).to(memory_format=torch.channels_last), images) for path in (folder, other))
    lengths = ((path / WEIGHTS).stat().st_size for path in (folder, other))
    return changes(one, two) | dict(zip(("bytes_before", "bytes_after"), lengths, strict=True))


def compared_cascades(folder: Path, other: Path, images: Tensor) -> dict[str, dict[str, float]]:
    """Change of the finder's logits and, with a compound classifier, of its: all orientations, class prior included."""
    try:
        shares = operating_points.read_best(folder).shares
    except PointsError:  # of other weights: the logits are then for the mix of training
        shares = None
    rows = {"finder": gated([load_cascade(path, shares) for path in (folder, other)], images)}
    if is_model(folder / COMPOUND):
        rows["compound classifier"] = gated([CompoundClassifier.load(path) for path in (folder, other)], images)
    return rows


def gated(cascades: list[Cascade], images: Tensor) -> dict[str, float]:
    """Change of two cascades' logits, but for images on different sides of their gates, which are counted."""
    passed = [predict(cascade.first, images) > cascade.gate for cascade in cascades]
    same = passed[0] == passed[1]
    one, two = (predict(cascade, images)[same] for cascade in cascades)
    return changes(one, two) | {"across_the_gate": int((~same).sum())}


def changes(one: Tensor, two: Tensor) -> dict[str, float]:
    """Largest and root mean square change of logits (N,), and their range."""
    change = (two - one).double()
    return {
        "largest_change": float(change.abs().max()),
        "rms_change": float(change.square().mean().sqrt()),
        "lowest_logit": float(one.min()),
        "highest_logit": float(one.max()),
    }


if __name__ == "__main__":
    main()
