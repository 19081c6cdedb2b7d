"""Comparison of the logits of two revisions of this code on one set of rendered images.

    python benchmarks/revisions.py --revision eef0897 --store artifacts/quick/images     the stored test and compound splits
    python benchmarks/revisions.py --revision eef0897 --draw poster --images 3000        fresh images at a scale's settings

The other revision is checked out into a temporary folder, in which its own code reads the images and the model's folder.
Prints one JSON object; exits with 1 where a logit differs by more than `--within`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from lensdream.config import PopulationConfig, SimulateConfig, SurveyConfig, load
from lensdream.dataset.store import ImageStore
from lensdream.dataset.target_mix import survey_shares
from lensdream.dataset.write import write_store
from lensdream.families import COMPOUND_SPLIT, TEST
from lensdream.finder.finder import Finder
from lensdream.networks.predict import predict
from lensdream.population.drawing import draw_scenes

FIRST_EDITION = """
import sys
from pathlib import Path
import numpy as np, torch
from lensdream.config import SurveyConfig, load
from lensdream.dataset import targets
from lensdream.networks import BothLogits, load_finder, load_model, predict
torch.set_num_threads(1)
images, model, scale, out = torch.from_numpy(np.load(sys.argv[1])), Path(sys.argv[2]), sys.argv[3], sys.argv[4]
finder = load_finder(model, shares=targets.survey_shares(load("survey", SurveyConfig, scale)))
training_mix, target_mix = predict(BothLogits(finder), images).numpy().T
compound = predict(load_model(model / "compound"), images).numpy()
np.savez(out, training_mix=training_mix, target_mix=target_mix, compound=compound)
"""
"""script that scores images with the code of a revision of the first edition"""


def main() -> int:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--revision", default="eef0897", help="of the first edition (default eef0897)")
    parser.add_argument(
        "--model", type=Path, default=Path("models/poster"), help="model folder (default models/poster)"
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--store", type=Path, help="an image store: its test and compound splits are scored")
    what.add_argument("--draw", metavar="SCALE", help="draw test images at this scale's settings")
    parser.add_argument(
        "--images", type=int, default=3000, help="so many of them, drawn or at most stored (default 3000)"
    )
    parser.add_argument("--within", type=float, default=1e-3, help="largest difference of equal logits (default 1e-3)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        images = (
            stored(arguments.store, arguments.images)
            if arguments.store
            else drawn(arguments.draw, arguments.images, folder)
        )
        np.save(folder / "images.npy", images)
        ours = logits(torch.from_numpy(images), arguments.model)
        theirs = logits_at(arguments.revision, folder, arguments.model.resolve())
    differences = {name: float(np.abs(ours[name] - theirs[name]).max()) for name in ours}
    print(
        json.dumps(
            {
                "revision": arguments.revision,
                "model": str(arguments.model),
                "n": len(images),
                "largest_difference": differences,
            }
        )
    )
    return int(max(differences.values()) > arguments.within)


def stored(store: Path, n: int) -> np.ndarray:
    """Images (n, band, y, x) float16 of the test and compound splits of a store, evenly taken."""
    opened = ImageStore.open(store)
    rows = np.flatnonzero(opened.truth["split"].isin([TEST, COMPOUND_SPLIT]))
    return opened.images(rows[np.linspace(0, len(rows) - 1, min(n, len(rows))).round().astype(int)])


def drawn(scale: str, n: int, folder: Path) -> np.ndarray:
    """Images (n, band, y, x) float16 of a test split drawn and rendered at a scale's settings."""
    numbers = ("train", "validation", "undetectable", "compound_arc", "double_ring", "faint_second")
    none = dict.fromkeys((*numbers, "compound_arc_train", "double_ring_train"), 0)
    population = dataclasses.replace(load("population", PopulationConfig, scale), test=n, **none)
    simulate = load("simulate", SimulateConfig, scale)
    write_store(draw_scenes(population, simulate.workers), simulate, folder / "store")
    store = ImageStore.open(folder / "store")
    return store.images(np.arange(len(store)))


def logits(images: torch.Tensor, model: Path) -> dict[str, np.ndarray]:
    """Logits (n,) by this code: of the finder for both mixes, and of the compound classifier's network."""
    finder = Finder.unmeasured(model, survey_shares(load("survey", SurveyConfig, "poster")))
    scores = finder.scores(images)
    compound = predict(finder.compound.first, images).numpy()
    return {"training_mix": scores.training_mix_logit, "target_mix": scores.logit, "compound": compound}


def logits_at(revision: str, folder: Path, model: Path) -> dict[str, np.ndarray]:
    """Logits (n,) by the code of a revision, in a checkout of its own."""
    checkout = folder / "checkout"
    subprocess.run(["git", "worktree", "add", "--detach", "--quiet", str(checkout), revision], check=True)
    try:
        command = [
            sys.executable,
            "-c",
            FIRST_EDITION,
            str(folder / "images.npy"),
            str(model),
            "poster",
            str(folder / "found"),
        ]
        subprocess.run(command, check=True, cwd=checkout, env=os.environ | {"PYTHONPATH": str(checkout / "src")})
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", str(checkout)], check=True)
    with np.load(folder / "found.npz") as found:
        return dict(found)


if __name__ == "__main__":
    sys.exit(main())
