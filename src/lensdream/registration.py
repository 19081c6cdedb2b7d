"""Registering a trained model: the champion's place is earned, not given."""

from __future__ import annotations

from pathlib import Path

from lensdream import tracking
from lensdream.evaluate import operating_points
from lensdream.evaluate.operating_points import GATE
from lensdream.paths import Paths


def run(scale: str, root: Path = Path()) -> None:
    """Register the model of a scale, and make it champion unless the present one is better.

    Better is a higher completeness at a false-positive rate of 1e-2, on a test set of the same population: the lowest
    rate that a small test set resolves. Raises `FileNotFoundError` with the remedy where the model is not evaluated.
    """
    own = operating_points.read(Paths(scale, root).model)[GATE]
    promote = True
    if tracking.has_champion(root):
        promote = own >= operating_points.read(tracking.pull(root=root))[GATE]
    version = tracking.register(scale, root=root, promote=promote)
    print(f"lensdream version {version.version}, aliases {', '.join(version.aliases)}; {GATE} {own:.4f}")
