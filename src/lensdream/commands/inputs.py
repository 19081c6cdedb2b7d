"""What the commands on a user's own files share: files, a model, and an exit code that tells of what was skipped."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lensdream.cutouts.reader import text_of
from lensdream.cutouts.sources import find_files
from lensdream.finder import operating_points
from lensdream.networks.model_file import SETTINGS, WEIGHTS

ALL_DONE, USAGE_ERROR, SOME_SKIPPED = 0, 2, 3


class UsageError(ValueError):
    """What the user has to change, with the remedy."""


@dataclass
class Skipped:
    """What could not be done; each is told on stderr when it is added."""

    what: list[str] = field(default_factory=list)

    def add(self, what: Path | str, reason: str) -> None:
        """One more, and why."""
        self.what.append(text_of(what))
        print(f"skipped {text_of(what)}: {reason}", file=sys.stderr)

    def __len__(self) -> int:
        """Count them."""
        return len(self.what)

    @property
    def exit_code(self) -> int:
        """Of a command that skipped these and did the rest."""
        return SOME_SKIPPED if self.what else ALL_DONE


def named_files(patterns: Sequence[str], verb: str) -> tuple[list[Path], list[str]]:
    """Files that folders, globs and names name, and the patterns that match nothing; see `tell_unmatched`.

    Raises `UsageError` where there is none at all to `verb`.
    """
    files, unmatched = find_files(patterns)
    if not files:
        raise UsageError(
            f"nothing to {verb}: no file and no folder with *.fits, *.fit or *.fts, packed or not, matches "
            + " ".join(patterns)
        )
    return files, unmatched


def tell_unmatched(patterns: Sequence[str], skipped: Skipped) -> None:
    """Count patterns that match nothing among the skipped."""
    for pattern in patterns:
        skipped.add(pattern, "no such file, and as a folder or glob it matches nothing")


def find_model(model: str | None, root: Path) -> tuple[Path, str]:
    """Folder of a model and its name in tables; raises `UsageError` with the remedy where there is none.

    `model`: an alias or version of the registry or a folder with a model; None for the champion, else the model in `models/`
    that finds most on its test set, else the newest.
    """
    if model is not None and Path(model).is_dir():
        return _checked(Path(model)), model
    # MLflow takes seconds to import: a folder needs none of it.
    from lensdream import tracking

    try:
        if model is not None:
            return tracking.pull(model, root=root), model
        if tracking.has_champion(root):
            return tracking.pull("champion", root=root), "champion"
    except LookupError as error:
        raise UsageError(f"{error.args[0]}; or give --model a folder with {WEIGHTS} and {SETTINGS}") from None
    trained = [path.parent for path in (root / "models").glob(f"*/{WEIGHTS}")]
    if not trained:
        raise UsageError(
            f"no model: the registry has no champion and {root / 'models'} no trained one; run `dvc repro`, "
            f"or give --model a folder with {WEIGHTS} and {SETTINGS}"
        )
    best = _checked(max(trained, key=_merit))
    return best, best.relative_to(root).as_posix()


def _merit(folder: Path) -> tuple[float, float]:
    """What the champion is chosen by, and when it was trained: a fresh clone has many models and no registry yet."""
    try:
        found = operating_points.read(folder).gate
    except (OSError, ValueError):
        found = None  # not measured, or in a file that the scorer will refuse in better words
    return found or 0.0, (folder / WEIGHTS).stat().st_mtime


def _checked(folder: Path) -> Path:
    missing = [name for name in (WEIGHTS, SETTINGS) if not (folder / name).is_file()]
    if missing:
        raise UsageError(f"--model {folder}: the folder has no {' and no '.join(missing)}; run the train stage first")
    return folder
