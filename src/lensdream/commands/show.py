"""`lensdream dataset show`: draw images of every family of an image store, and real cutouts below."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from lensdream.commands.inputs import Skipped
from lensdream.cutouts.fits_planes import CutoutError
from lensdream.cutouts.reader import Cutout, read_cutout
from lensdream.cutouts.sources import find_files
from lensdream.dataset.store import ImageStore, StoreError
from lensdream.families import FAMILIES
from lensdream.plots import contact_sheet
from lensdream.plots.contact_sheet import Row, titles_of
from lensdream.plots.encoded import png
from lensdream.runtime.files import write_whole


def run(folder: str, out: str, per_family: int, family: Sequence[str], seed: int, beside: Sequence[str]) -> int:
    """Write the picture; returns the exit code, 3 for skipped cutouts."""
    store, skipped = ImageStore.open(Path(folder)), Skipped()
    rows = rows_of_store(store, per_family, seed, family)
    if beside:
        rows += rows_of_cutouts(beside, store.stamp, per_family, seed, skipped.add)
    write_whole(Path(out), png(contact_sheet.draw(rows)))
    print(f"{sum(len(row.images) for row in rows)} images in {out}")
    return skipped.exit_code


MOST_COLUMNS = 100
MOST_ROWS = 4
"""of real cutouts"""
LONGEST_NAME = 24


def rows_of_store(store: ImageStore, per_family: int, seed: int = 0, families: Sequence[str] = ()) -> list[Row]:
    """Rows of `per_family` images of each family, or of these families only, chosen by the seed; fewer where there are fewer.

    A family's choice depends on the seed and that family alone. Raises `StoreError` for an empty store and for a family
    that it has not, `ValueError` for a number of images out of bounds.
    """
    if not 1 <= per_family <= MOST_COLUMNS:
        raise ValueError(f"{per_family} images a family cannot be drawn: ask for 1 to {MOST_COLUMNS}")
    counts = store.truth["family"].value_counts()
    if counts.empty:
        raise StoreError(f"{store.folder} has no images: raise the numbers under population and simulate again")
    unknown = [name for name in families if name not in counts]
    if unknown:
        there = ", ".join(f"{name} ({count})" for name, count in counts.items())
        raise StoreError(f"no family {', '.join(map(repr, unknown))} in {store.folder}; there are {there}")
    known = [name for name in FAMILIES if name in counts]
    wanted = families or [*known, *sorted(set(counts.index) - set(known))]
    return [_row(store, family, per_family, seed) for family in wanted]


def _row(store: ImageStore, family: str, n: int, seed: int) -> Row:
    rows = np.flatnonzero(store.truth["family"] == family)
    rng = np.random.default_rng([seed, *family.encode()])
    chosen = np.sort(rng.permutation(rows)[:n])
    note = f"{len(rows)} image{'s' if len(rows) > 1 else ''}"
    return Row(family.replace("_", " "), note, store.images(chosen), titles_of(family, store.truth.iloc[chosen]))


def rows_of_cutouts(
    patterns: Sequence[str], stamp: int, per_row: int, seed: int, on_skip: Callable[[Path, str], None]
) -> list[Row]:
    """Rows of real cutouts from folders, globs and files, at most `MOST_ROWS`, chosen by the seed.

    `stamp`: side [pixel of 0.1 arcsec]. `on_skip` is called with each unreadable file and the reason, and another file
    is drawn instead. Raises `CutoutError` without a readable file.
    """
    files, unmatched = find_files(patterns)
    if unmatched:
        raise CutoutError(f"no FITS file in {', '.join(unmatched)}: name folders, globs or files of cutouts")
    cutouts: list[Cutout] = []
    for k in np.random.default_rng(seed).permutation(len(files)):
        if len(cutouts) == per_row * MOST_ROWS:
            break
        try:
            cutouts.append(read_cutout(files[k], stamp))
        except (CutoutError, OSError) as error:
            on_skip(files[k], str(error))
    if not cutouts:
        raise CutoutError(f"none of {len(files)} cutouts can be read: `lensdream score` needs the same layout")
    cutouts.sort(key=lambda cutout: cutout.object)
    credits = sorted({cutout.origin.value for cutout in cutouts} - {""})
    note = "\n".join([f"{len(cutouts)} of {len(files)} cutouts", *credits])
    return [
        Row(
            "real" if start == 0 else "",
            note if start == 0 else "",
            np.stack([cutout.image for cutout in cutouts[start : start + per_row]]),
            tuple(_short(cutout.object) for cutout in cutouts[start : start + per_row]),
        )
        for start in range(0, len(cutouts), per_row)
    ]


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
