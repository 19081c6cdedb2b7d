"""`lensdream register`: register trained models, and promote a better one to champion."""

from __future__ import annotations

from pathlib import Path

from lensdream import tracking
from lensdream.commands.paths import Paths
from lensdream.finder import operating_points
from lensdream.finder.operating_points import PointsError
from lensdream.networks.layout import MERIT, POINTS, is_model


def run(scale: str | None = None, root: Path = Path()) -> None:
    """Register the model of a scale, and promote it to champion unless the present champion is better.

    Without a scale, all evaluated models in `models/` are registered, in the order of evaluation: a model that came with the
    repository may be better than the one just trained.

    Better is a higher completeness at a false-positive rate of 1e-2, on a test set of the same population: the lowest
    rate that a small test set resolves. Raises `FileNotFoundError` or `PointsError` where the model of the
    scale was not evaluated; without a scale, such models are skipped with a message.
    """
    for name in [scale] if scale else evaluated(root):
        try:
            own = _merit(Paths(name, root).model)
        except PointsError as error:
            if scale:
                raise
            print(f"{name} is not registered: {error}")
            continue
        version = tracking.register(Paths(name, root).model, name, root=root, promote=_beats_the_champion(own, root))
        print(f"{name}: lensdream version {version.version}, aliases {', '.join(version.aliases)}; {MERIT} {own:.4f}")


def evaluated(root: Path) -> list[str]:
    """Scales with an evaluated model, in the order of evaluation; raises `FileNotFoundError` without any."""
    points = (root / "models").glob(f"*/{POINTS}")
    found = [path for path in points if is_model(path.parent)]
    if not found:
        raise FileNotFoundError(f"no model in {root / 'models'} was evaluated: run `dvc repro evaluate@quick` first")
    return [path.parent.name for path in sorted(found, key=lambda path: path.stat().st_mtime_ns)]


def _beats_the_champion(merit: float, root: Path) -> bool:
    try:
        return not tracking.has_champion(root) or merit >= _merit(tracking.pull(root=root))
    except (FileNotFoundError, PointsError):
        return True  # the champion is of an older version, and could not score


def _merit(folder: Path) -> float:
    merit = operating_points.read(folder).merit
    if merit is None:
        raise PointsError(f"{folder / POINTS} has no {MERIT}: run the evaluate stage again")
    return merit
