"""What the commands on a user's own files share: files, a model, and an exit code that tells of what was skipped."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lensdream.cutouts.reader import text_of
from lensdream.cutouts.sources import find_files

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
    """Files that folders, globs and names name, and the patterns that match nothing; see `report_unmatched`.

    Raises `UsageError` where there is none at all to `verb`.
    """
    files, unmatched = find_files(patterns)
    if not files:
        raise UsageError(
            f"nothing to {verb}: no file and no folder with *.fits, *.fit or *.fts, packed or not, matches "
            + " ".join(patterns)
        )
    return files, unmatched


def report_unmatched(patterns: Sequence[str], skipped: Skipped) -> None:
    """Count patterns that match nothing among the skipped."""
    for pattern in patterns:
        skipped.add(pattern, "no such file, and as a folder or glob it matches nothing")
