"""Store of images: shards of images and masks and a truth table, described by a manifest.

manifest.json                 schema version, band order, units, pixel scale, stamp, sha256 of every file
truth.parquet                 one row an image, in the order of the shards: the scene's row and the renderer's measurements
images-00000.npy              (n, band, y, x) float16 [microjansky a pixel]
masks-00000.npy               (n, y, x) uint8 of the bits `ARC_1`, `ARC_2`, `LENS_LIGHT`
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lensdream.instrument import Band

SCHEMA_VERSION = 3


MANIFEST = "manifest.json"
MANIFEST_KEYS = {"schema_version": int, "bands": list, "n": int, "stamp": int, "shard_size": int, "sha256": dict}
"""keys that every manifest has, and their types"""
AGAIN = "remove {folder} and run the simulate stage again"


class StoreError(ValueError):
    """Error of a store of another version, or one that does not match its manifest."""


class MissingStoreError(StoreError):
    """Error of a store that is missing or not finished."""


@dataclass(frozen=True)
class ImageStore:
    """Rendered images, masks and their truth table in a folder: a finished store, opened read-only.

    `ImageStore.open(folder)` opens one that `lensdream simulate` wrote.

    Attributes
    ----------
    folder : Path
        The store's folder.
    manifest : dict
        Its `manifest.json`: bands, number and size of the images, digests of the files.
    truth : DataFrame
        One row an image: the scene's row and the renderer's measurements.

    Examples
    --------
    >>> from pathlib import Path
    >>> from lensdream import ImageStore, Lens
    >>> from lensdream.config import SimulateConfig
    >>> from lensdream.dataset.write import write_store
    >>> n_bytes = write_store(Lens(theta_E=1.2).scene(), SimulateConfig(workers=1), Path("images"))
    >>> store = ImageStore.open(Path("images"))
    >>> store.images([0]).shape, store.masks([0]).shape
    ((1, 4, 80, 80), (1, 80, 80))
    >>> store.truth["theta_E_1"].tolist()  # [arcsec]
    [1.2]
    """

    folder: Path
    manifest: dict
    truth: pd.DataFrame

    @classmethod
    def open(cls, folder: Path) -> ImageStore:
        """Open a store.

        Parameters
        ----------
        folder : Path
            Folder of `manifest.json`.

        Returns
        -------
        ImageStore
            The store; images are read when they are asked for.

        Raises
        ------
        MissingStoreError
            For a folder without a finished store.
        StoreError
            For a store of another version, or one that does not match its manifest; the message says what to do.
        """
        manifest = read_manifest(folder)
        missing = [name for name in manifest["sha256"] if not (folder / name).is_file()]
        if missing:
            raise StoreError(f"{folder} lacks {', '.join(missing[:3])} of its manifest: {AGAIN.format(folder=folder)}")
        return cls(folder, manifest, read_truth(folder, manifest["n"]))

    def __len__(self) -> int:
        """Count the images."""
        return int(self.manifest["n"])

    @property
    def stamp(self) -> int:
        """Side of an image [pixel]."""
        return int(self.manifest["stamp"])

    def labelled_rows(self, split: str) -> np.ndarray:
        """Rows of `truth` of the lenses and non-lenses of a split."""
        return np.flatnonzero((self.truth["split"] == split) & (self.truth["label"] >= 0))

    def images(self, positions: np.ndarray) -> np.ndarray:
        """Images at these rows of `truth`.

        Parameters
        ----------
        positions : sequence of int
            Rows, counted from 0.

        Returns
        -------
        ndarray
            (n, band, y, x) float16 [microjansky a pixel].
        """
        return self._gather("images", np.asarray(positions))

    def masks(self, positions: np.ndarray) -> np.ndarray:
        """Masks at these rows of `truth`.

        Parameters
        ----------
        positions : sequence of int
            Rows, counted from 0.

        Returns
        -------
        ndarray
            (n, y, x) uint8 of bits, where VIS light is above the sky's scatter: 1 of source 1, 2 of source 2, 4 of the
            target.
        """
        return self._gather("masks", np.asarray(positions))

    @property
    def n_shards(self) -> int:
        """Count the shards."""
        return math.ceil(len(self) / int(self.manifest["shard_size"]))

    def shard(self, content: str, number: int) -> np.ndarray:
        """Read a whole shard of `images` or `masks`; raises `StoreError` for one unlike the manifest."""
        size, path = int(self.manifest["shard_size"]), self.folder / shard_name(content, number)
        of_image, dtype = self._shape_of(content)
        shape = (min(size, len(self) - number * size), *of_image)
        again = AGAIN.format(folder=self.folder)
        try:
            array = np.load(path, mmap_mode="r")
        except (OSError, ValueError, EOFError) as error:
            raise StoreError(f"{path} cannot be read ({error}): {again}") from error
        if array.shape != shape or array.dtype != dtype:
            raise StoreError(
                f"{path} holds {array.dtype} of the shape {array.shape}, by the manifest it should be {np.dtype(dtype)} of "
                f"{shape}: {again}"
            )
        return array

    def _shape_of(self, content: str) -> tuple[tuple[int, ...], type]:
        plane = (self.stamp, self.stamp)
        return {"images": ((len(Band), *plane), np.float16), "masks": (plane, np.uint8)}[content]

    def _gather(self, content: str, positions: np.ndarray) -> np.ndarray:
        size = int(self.manifest["shard_size"])
        of_image, dtype = self._shape_of(content)
        out = np.empty((len(positions), *of_image), dtype)
        shards = positions // size
        for number in np.unique(shards):
            chosen = np.flatnonzero(shards == number)
            out[chosen] = self.shard(content, number)[positions[chosen] - number * size]
        if content == "images":
            self._refuse_bad_pixels(out, positions)
        return out

    def _refuse_bad_pixels(self, images: np.ndarray, positions: np.ndarray) -> None:
        """Raise `StoreError` that names the first image with a pixel that is no finite number."""
        bad = np.flatnonzero([not np.isfinite(image).all() for image in images])
        if len(bad) == 0:
            return
        row = int(positions[bad[0]])
        about = self.truth.iloc[row]
        name = shard_name("images", row // int(self.manifest["shard_size"]))
        raise StoreError(
            f"image {row} ({about.get('family', '?')}, split {about.get('split', '?')}) in {self.folder / name} has pixels "
            f"that are no finite numbers, as have {len(bad)} of the {len(images)} images read: `lensdream dataset check "
            f"{self.folder}` names the damaged files; {AGAIN.format(folder=self.folder)}"
        )


def shard_name(content: str, number: int) -> str:
    """File of a shard of `images` or `masks`."""
    return f"{content}-{number:05d}.npy"


def read_manifest(folder: Path) -> dict:
    """Manifest of a store, checked.

    Raises `MissingStoreError` without a manifest, `StoreError` for one that is incomplete or of another version.
    """
    path, again = folder / MANIFEST, AGAIN.format(folder=folder)
    if not path.is_file():
        raise MissingStoreError(f"no {MANIFEST} in {folder}: the simulate stage has not finished there; run it")
    try:
        manifest = json.loads(path.read_text())
    except ValueError as error:
        raise StoreError(f"{path} is not JSON ({error}): {again}") from error
    if not isinstance(manifest, dict):
        raise StoreError(f"{path} holds a {type(manifest).__name__}, not an object of keys: {again}")
    version = manifest.get("schema_version")
    if version != SCHEMA_VERSION:
        raise StoreError(f"{folder} is of schema {version}, this version reads {SCHEMA_VERSION}: {again}")
    wrong = [key for key, type_ in MANIFEST_KEYS.items() if not isinstance(manifest.get(key), type_)]
    wrong += [key for key in ("stamp", "shard_size") if key not in wrong and manifest[key] < 1]
    if wrong:
        values = ", ".join(f"{key} = {manifest[key]!r}" if key in manifest else f"no {key}" for key in wrong)
        raise StoreError(f"{path} cannot be used, it has {values}: {again}")
    if manifest["bands"] != [band.name for band in Band]:
        raise StoreError(f"{folder} has bands {manifest['bands']}, expected {[band.name for band in Band]}: {again}")
    return manifest


def read_truth(folder: Path, n: int) -> pd.DataFrame:
    """Truth table of `n` rows; raises `StoreError` for another length or an unreadable file."""
    path, again = folder / "truth.parquet", AGAIN.format(folder=folder)
    try:
        truth = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read ({error}): {again}") from error
    if len(truth) != n:
        raise StoreError(f"{path} has {len(truth)} rows, by the manifest there are {n} images: {again}")
    return truth
