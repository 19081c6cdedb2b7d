"""`lensdream dataset export`: write images of an image store as FITS cutouts in Euclid's layout."""

from __future__ import annotations

from pathlib import Path

from lensdream.cutouts.export import export_fits
from lensdream.dataset.store import ImageStore


def run(folder: str, format: str, family: str, n: int, out: str) -> None:
    """Write the first `n` images of a family; FITS is the only format."""
    export_fits(ImageStore.open(Path(folder)), Path(out), family, n)
