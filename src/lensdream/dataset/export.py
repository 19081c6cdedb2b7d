"""Stored images to FITS files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lensdream.dataset.store import ImageStore, StoreError
from lensdream.observe.writing import write_cutout

FACTS = {
    "family": "FAMILY",
    "split": "SPLIT",
    "label": "LABEL",
    "index": "SCENE",
    "seed": "SEED",
    "z_lens": "Z_LENS",
    "z_source_1": "Z_SRC_1",
    "z_source_2": "Z_SRC_2",
    "theta_E_1": "THETA_E1",
    "theta_E_2": "THETA_E2",
    "arc_snr": "ARC_SNR",
}
"""columns of the truth table that become cards of the first header"""
CHUNK = 64


def export_fits(store: ImageStore | Path, out: Path, family: str, n: int) -> list[Path]:
    """Write the first `n` images of a family into the folder `out`, one file each; returns the files.

    `store` may be a store's folder. Raises `StoreError` for a family that is not there (with those that are) or one
    with fewer than `n` images, `ValueError` for an `n` below 1.
    """
    if n < 1:
        raise ValueError(f"n = {n}: export at least 1 image")
    opened = store if isinstance(store, ImageStore) else ImageStore.open(store)
    families = opened.truth["family"]
    positions = np.flatnonzero(families == family)
    if len(positions) == 0:
        there = ", ".join(f"{name} ({count})" for name, count in families.value_counts().items())
        raise StoreError(f"no family {family!r} in {opened.folder}; there are {there or 'no images at all'}")
    if len(positions) < n:
        raise StoreError(
            f"the family {family!r} of {opened.folder} has {len(positions)} images, {n} were asked for: ask for fewer"
        )
    files: list[Path] = []
    for start in range(0, n, CHUNK):
        chosen = positions[start : min(start + CHUNK, n)]
        for image, (_, row) in zip(opened.images(chosen), opened.truth.iloc[chosen].iterrows(), strict=True):
            path = out / f"{family}-{int(row['index']):07d}.fits"
            facts = {card: _plain(row[column]) for column, card in FACTS.items() if column in row}
            write_cutout(path, image.astype(np.float32), f"{family} {int(row['index'])}", facts)
            files.append(path)
    return files


def _plain(value: object) -> str | float | int:
    return value.item() if isinstance(value, np.generic) else value  # type: ignore[return-value]
