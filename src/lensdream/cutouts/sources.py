"""Targets to score: files, and objects in files that a table names."""

from __future__ import annotations

import csv
import glob
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path

from lensdream.cutouts.fits_planes import NAMED_FITS
from lensdream.cutouts.reader import PixelPosition, SkyPosition


class TargetKind(Enum):
    """Kind of a target; the value is the word in tables."""

    CUTOUT = "cutout"
    FIELD = "field"
    POSITION = "position"


TABLES = {"field_objects.csv": TargetKind.FIELD, "positions.csv": TargetKind.POSITION}
"""tables of objects in files, searched for in the folders of the files; see `tabled`"""
CENTRES = {("x_pix", "y_pix"): PixelPosition, ("ra_deg", "dec_deg"): SkyPosition}
"""columns of a position; the first complete pair counts"""


@dataclass(frozen=True)
class Target:
    """Object to score: a row of the table of scores."""

    path: Path
    centre: PixelPosition | SkyPosition | None = None
    """None for the middle of the file's images"""
    name: str | None = None
    """None for the file's own OBJECT"""
    kind: TargetKind = TargetKind.CUTOUT


def find_files(patterns: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Files named by folders (searched to the bottom for FITS), globs (`**` too) and plain names.

    Returns the files, each once, sorted within a pattern, and the patterns that match nothing. Broken links are
    included: the reader reports them.
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
    """Targets named by the tables `positions.csv` and `field_objects.csv` anywhere below the folders.

    Returns also the table and the reason for each table and each row that cannot be used.
    """
    targets: dict[Target, None] = {}
    refused: list[tuple[Path, str]] = []
    for folder in folders:
        for name, kind in TABLES.items():
            for table in sorted(folder.rglob(name)):
                try:
                    positions, reasons = tabled(table, kind)
                except (ValueError, OSError) as error:
                    refused.append((table, str(error)))
                    continue
                targets.update(dict.fromkeys(positions))
                refused += [(table, reason) for reason in reasons]
    return list(targets), refused


def tabled(table: Path, kind: TargetKind = TargetKind.POSITION) -> tuple[list[Target], list[str]]:
    """Targets named by the rows of a CSV table, and the reasons of the rows that cannot be used.

    Columns: id, file (relative to the table) and x_pix, y_pix, as in `PixelPosition`, or ra_deg, dec_deg, as in
    `SkyPosition`; where a row has both, its pixels count. Raises `ValueError` without these columns, or `OSError`.
    """
    with table.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, restval="", skipinitialspace=True)
        rows, names = list(reader), reader.fieldnames or []
    there = [column for columns in CENTRES if set(columns) <= set(names) for column in columns]
    if not there or not {"id", "file"} <= set(names):
        raise ValueError(
            f"the columns are {', '.join(names)}: a table of positions has id, file and x_pix, y_pix or ra_deg, dec_deg"
        )
    targets, reasons = [], []
    for row in rows:
        centre = _centre(row)
        if row["file"] and centre is not None:
            targets.append(Target(table.parent / row["file"], centre, f"{kind.value} {row['id']}", kind))
        else:
            given = ", ".join(f"{column} = {row[column]!r}" for column in ("file", *there))
            reasons.append(f"id {row['id']}: {given}: a place is a file and two numbers")
    return targets, reasons


def _centre(row: Mapping[str, str]) -> PixelPosition | SkyPosition | None:
    for columns, position in CENTRES.items():
        numbers = [_number(row.get(column, "")) for column in columns]
        if all(map(math.isfinite, numbers)):
            return position(*numbers)
    return None


def _number(text: str) -> float:
    """Number in a text; NaN for other text."""
    try:
        return float(text)
    except ValueError:
        return math.nan
