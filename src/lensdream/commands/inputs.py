"""`lensdream score`, `explain` and `dataset show`, their input: a user's files, skipped files and exit codes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lensdream.cutouts.reader import text_of
from lensdream.cutouts.sources import find_files

ALL_DONE, USAGE_ERROR, SOME_SKIPPED = 0, 2, 3


class UsageError(ValueError):
    """Arguments that the user has to change; the message says how."""


@dataclass
class Skipped:
    """Skipped files and patterns; each is printed on stderr, with the reason, when it is added."""

    what: list[str] = field(default_factory=list)

    def add(self, what: Path | str, reason: str) -> None:
        """Record a skipped file and its reason."""
        self.what.append(text_of(what))
        print(f"skipped {text_of(what)}: {reason}", file=sys.stderr)

    def __len__(self) -> int:
        """Number of skipped files and patterns."""
        return len(self.what)

    @property
    def exit_code(self) -> int:
        """Exit code of the command: `SOME_SKIPPED` where anything was skipped."""
        return SOME_SKIPPED if self.what else ALL_DONE


def named_files(patterns: Sequence[str], verb: str) -> tuple[list[Path], list[str]]:
    """Files named by folders, globs and file names, and the patterns without a match; see `report_unmatched`.

    Raises `UsageError` where there is no file to `verb`.
    """
    files, unmatched = find_files(patterns)
    if not files:
        raise UsageError(
            f"nothing to {verb}: no file and no folder with *.fits, *.fit or *.fts, packed or not, matches "
            + " ".join(patterns)
        )
    return files, unmatched


def report_unmatched(patterns: Sequence[str], skipped: Skipped) -> None:
    """Add patterns without a match to the skipped."""
    for pattern in patterns:
        skipped.add(pattern, "no such file, and as a folder or glob it matches nothing")
