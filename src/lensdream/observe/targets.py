"""What there is to score: files, and places in files that a table names."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path

import pandas as pd

from lensdream.observe.cutouts import PixelPosition, SkyPosition
from lensdream.observe.fits_planes import NAMED_FITS


class Kind(Enum):
    """Where a target came from; the value is the word in tables."""

    CUTOUT = "cutout"
    FIELD = "field"
    POSITION = "position"


TABLES = {"field_objects.csv": Kind.FIELD, "positions.csv": Kind.POSITION}
"""tables of places in files, looked for beside them: columns id, file (relative to the table), x_pix, y_pix"""


@dataclass(frozen=True)
class Target:
    """One row of the table of scores."""

    path: Path
    centre: PixelPosition | SkyPosition | None = None
    """None for the middle of the file's images"""
    name: str | None = None
    """None for the file's own OBJECT"""
    kind: Kind = Kind.CUTOUT


def find_files(patterns: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Files named by folders (searched to the bottom for FITS), globs (`**` too) and plain names.

    Returns the files, each once, sorted within a pattern, and the patterns that match nothing. Links to nothing are there
    too: who reads them tells.
    """
    found: dict[Path, Path] = {}
    resolved = cache(Path.resolve)
    unmatched: list[str] = []
    for pattern in patterns:
        path = Path(pattern)
        # A name is taken literally first: real names hold brackets and plus signs.
        candidates = [path] if path.exists() else [Path(name) for name in sorted(glob.glob(pattern, recursive=True))]
        before = len(found)
        matched = False
        for candidate in candidates:
            files = list(_below(candidate)) if candidate.is_dir() else [candidate]
            for file in files:
                found.setdefault(resolved(file.parent) / file.name, file)
            matched = matched or bool(files)
        if len(found) == before and not matched:
            unmatched.append(pattern)
    return list(found.values()), unmatched


def _below(folder: Path) -> Iterator[Path]:
    named = (path for path in folder.rglob("*") if NAMED_FITS.search(path.name))
    yield from sorted(path for path in named if path.is_file() or not path.exists())


def tabled_targets(folders: Iterable[Path]) -> tuple[list[Target], list[tuple[Path, str]]]:
    """Places that the tables `positions.csv` and `field_objects.csv` anywhere below the folders name.

    Returns them and, for each table that cannot be used, the reason.
    """
    targets: dict[Target, None] = {}
    refused: list[tuple[Path, str]] = []
    for folder in folders:
        for name, kind in TABLES.items():
            for table in sorted(folder.rglob(name)):
                try:
                    targets.update(dict.fromkeys(_rows(table, kind)))
                except (ValueError, OSError) as error:
                    refused.append((table, str(error)))
    return list(targets), refused


def _rows(table: Path, kind: Kind) -> list[Target]:
    rows = pd.read_csv(table)
    missing = [column for column in ("id", "file", "x_pix", "y_pix") if column not in rows]
    if missing:
        raise ValueError(f"lacks the column {', '.join(missing)}: a table of positions has id, file, x_pix, y_pix")
    places = rows[["x_pix", "y_pix"]].apply(pd.to_numeric, errors="coerce")
    wrong = rows.loc[places.isna().any(axis=1), "id"]
    if len(wrong):
        raise ValueError(f"x_pix or y_pix of id {', '.join(map(str, wrong[:5]))} is not a number")
    return [
        Target(table.parent / str(file), PixelPosition(float(x), float(y)), f"{kind.value} {identity}", kind)
        for identity, file, x, y in zip(rows["id"], rows["file"], places["x_pix"], places["y_pix"], strict=True)
    ]
