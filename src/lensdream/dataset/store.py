"""Shards of images and masks beside a truth table, described by a manifest.

manifest.json                 schema version, recipe, band order, units, pixel scale, stamp, sha256 of every file
truth.parquet                 one row an image, in the order of the shards: the scene's row plus what rendering measured
images-00000.npy              (n, band, y, x) float16 [microjansky a pixel]
masks-00000.npy               (n, y, x) uint8 of the bits `ARC_1`, `ARC_2`, `LENS_LIGHT`
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lensdream.survey import Band

SCHEMA_VERSION = 1

ARC_1 = 1
"""mask bit: lensed, PSF-convolved VIS flux of source 1 above 1 sigma of the sky"""
ARC_2 = 2
"""mask bit: the same of source 2"""
LENS_LIGHT = 4
"""mask bit: the same of the target's light"""


class StoreError(ValueError):
    """A store that is missing, unfinished, of another version, or does not match its manifest."""


def sha256_of(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class ImageStore:
    """A finished store, opened read-only."""

    folder: Path
    manifest: dict
    truth: pd.DataFrame

    @classmethod
    def open(cls, folder: Path) -> ImageStore:
        """Open a store; raises `StoreError` with the remedy when it cannot be trusted."""
        path = folder / "manifest.json"
        if not path.is_file():
            raise StoreError(f"no manifest.json in {folder}: the simulate stage has not finished there; run it")
        manifest = json.loads(path.read_text())
        if manifest.get("schema_version") != SCHEMA_VERSION:
            raise StoreError(
                f"{folder} is of schema {manifest.get('schema_version')}, this version reads {SCHEMA_VERSION}: simulate again"
            )
        if manifest["bands"] != [band.name for band in Band]:
            raise StoreError(f"{folder} has bands {manifest['bands']}, expected {[band.name for band in Band]}")
        missing = [name for name in manifest["sha256"] if not (folder / name).is_file()]
        if missing:
            raise StoreError(f"{folder} lacks {', '.join(missing[:3])} of its manifest: simulate again")
        truth = pd.read_parquet(folder / "truth.parquet")
        if len(truth) != manifest["n"]:
            raise StoreError(
                f"{folder}: truth.parquet has {len(truth)} rows, the manifest {manifest['n']}: simulate again"
            )
        return cls(folder, manifest, truth)

    def __len__(self) -> int:
        """Count the images."""
        return int(self.manifest["n"])

    @property
    def stamp(self) -> int:
        """Side of an image [pixel]."""
        return int(self.manifest["stamp"])

    def images(self, positions: np.ndarray) -> np.ndarray:
        """Images at these rows of `truth`: (n, band, y, x) float16 [microjansky a pixel]."""
        return self._gather("images", np.asarray(positions), (len(Band), self.stamp, self.stamp), np.float16)

    def masks(self, positions: np.ndarray) -> np.ndarray:
        """Masks at these rows of `truth`: (n, y, x) uint8 of bits."""
        return self._gather("masks", np.asarray(positions), (self.stamp, self.stamp), np.uint8)

    def _gather(self, kind: str, positions: np.ndarray, shape: tuple[int, ...], dtype: type) -> np.ndarray:
        size = int(self.manifest["shard_size"])
        out = np.empty((len(positions), *shape), dtype)
        shards = positions // size
        for shard in np.unique(shards):
            chosen = np.flatnonzero(shards == shard)
            array = np.load(self.folder / f"{kind}-{shard:05d}.npy", mmap_mode="r")
            out[chosen] = array[positions[chosen] - shard * size]
        return out

    def check(self) -> list[str]:
        """Every file whose content differs from the manifest."""
        return [
            name
            for name, digest in self.manifest["sha256"].items()
            if not (self.folder / name).is_file() or sha256_of(self.folder / name) != digest
        ]
