"""Rendering of a store, shard by shard on several processes; a killed run resumes at its first missing shard."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from lensdream.config import SimulateConfig
from lensdream.dataset.store import MANIFEST, SCHEMA_VERSION, shard_name
from lensdream.instrument import EUCLID, Band
from lensdream.render.batch import (
    ARC_1,
    ARC_2,
    LENS_LIGHT,
    MEASURED,
    frame_of,
    in_chunks,
    measurements,
    renderer_of,
    stored,
    truth_masks,
)
from lensdream.render.renderer import Renderer
from lensdream.render.validate import refuse_impossible
from lensdream.runtime.files import is_full, replaced_whole, sha256_of, write_json
from lensdream.runtime.processes import worker_map
from lensdream.runtime.source_digest import digests
from lensdream.scene import Scenes

SHAPE = ("stamp", "padding", "supersampling", "fine_width", "shard_size", "renderer")
"""settings that determine the store"""


@dataclass(frozen=True)
class Shard:
    """Scenes of one file: rows [start, stop) of the table."""

    number: int
    start: int
    stop: int

    @property
    def measured(self) -> str:
        """Name of the shard's table of measurements."""
        return f"measured-{self.number:05d}.parquet"

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the shard's files."""
        return shard_name("images", self.number), shard_name("masks", self.number), self.measured


def write_store(scenes: Scenes, settings: SimulateConfig, folder: Path, elsewhere: Path | None = None) -> int:
    """Render all scenes into `folder`; returns the bytes written.

    What determines the images lies beside the store, in `<folder>.drawing.json`, with the digests of the shards that are whole.
    A run of the same drawing keeps these, if their files still have those digests; a finished store `elsewhere` of the same
    drawing is linked and not drawn again. Each file appears whole or not at all, the manifest last. Raises `ValueError` for
    scenes that cannot be drawn and `OSError` when the disk is full.
    """
    frame_of(settings)  # refuses an impossible frame before anything is written
    refuse_impossible(scenes)
    folder.mkdir(parents=True, exist_ok=True)
    record = Record(record_of(folder), drawing_of(scenes, settings))
    n = len(scenes)
    shards = [
        Shard(k, start, min(start + settings.shard_size, n)) for k, start in enumerate(range(0, n, settings.shard_size))
    ]
    try:
        if elsewhere is not None and record.is_finished(elsewhere):
            _link(elsewhere, folder)
            print(f"images linked from {elsewhere}, which are of the same scenes, settings and code", flush=True)
        whole = record.whole(folder, shards)
        _remove_all_but(folder, whole)
        missing = [shard for shard in shards if not set(shard.files) <= set(whole)]
        record.write(whole)
        _render_all(missing, scenes, settings, folder, record)
        return _finish(scenes, settings, folder, shards, record)
    except OSError as error:
        if is_full(error, folder):
            bytes_an_image = settings.stamp**2 * (len(Band) * 2 + 1)
            raise OSError(
                errno.ENOSPC,
                f"the disk of {folder} is full: about {n * bytes_an_image / 1e9:.1f} GB are needed in all; "
                "free some and run again, finished shards are kept",
            ) from error
        raise
    finally:
        for part in folder.glob("*.part"):  # of workers that were ended, now or in a run before
            part.unlink()


def drawing_of(scenes: Scenes, settings: SimulateConfig) -> dict[str, object]:
    """What determines the images: digest of the scenes, settings without the workers, digests of the code by module."""
    digest = hashlib.sha256()
    for table in (scenes.scenes, scenes.components):
        digest.update(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
    return {
        "scenes": digest.hexdigest(),
        "settings": {name: getattr(settings, name) for name in SHAPE},
        "code": digests(["dataset.write"], without=decides_nothing),
    }


def decides_nothing(module: str) -> bool:
    """Whether a module of the package has no part in what an image looks like: it runs what others compute."""
    return module.partition(".")[0] == "runtime"


def record_of(folder: Path) -> Path:
    """File beside a store that has what determines its images, and the digests of its whole shards."""
    return folder.with_name(f"{folder.name}.drawing.json")


@dataclass
class Record:
    """Record of a drawing: what determines the images, and the sha256 of every file of the shards that are whole."""

    path: Path
    drawing: dict[str, object]
    files: dict[str, str] = field(default_factory=dict)

    def whole(self, folder: Path, shards: list[Shard]) -> dict[str, str]:
        """Digests of the files of the finished shards of this drawing; a shard whose files have changed is reported."""
        known = self.read(self.path)
        kept: dict[str, str] = {}
        for shard in shards:
            recorded = {name: known[name] for name in shard.files if name in known}
            if len(recorded) < len(shard.files):
                continue
            damaged = [name for name, digest in recorded.items() if _digest_of(folder / name) != digest]
            if damaged:
                print(f"{folder / damaged[0]} is not as it was written: its shard is drawn again", flush=True)
            else:
                kept |= recorded
        return kept

    def is_finished(self, folder: Path) -> bool:
        """Whether another folder has all images of this drawing."""
        return (folder / MANIFEST).is_file() and bool(self.read(record_of(folder)))

    def read(self, path: Path) -> dict[str, str]:
        """Digests in a record of the same drawing; none in a damaged one or one of another drawing."""
        try:
            found = json.loads(path.read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        same = isinstance(found, dict) and found.get("drawing") == self.drawing
        return found["sha256"] if same and isinstance(found.get("sha256"), dict) else {}

    def write(self, files: Mapping[str, str]) -> None:
        """Add the digests of files, and write all."""
        self.files |= files
        write_json(self.path, {"drawing": self.drawing, "sha256": self.files})


def _digest_of(path: Path) -> str | None:
    return sha256_of(path) if path.is_file() else None


def _remove_all_but(folder: Path, kept: Iterable[str]) -> None:
    for path in folder.iterdir():
        if path.name not in kept:
            path.unlink()


def _link(store: Path, folder: Path) -> None:
    """Give a folder the files of a finished store, and its record. Files are only ever replaced, so links may be shared."""
    for path in store.glob("*-*.*"):
        target = folder / path.name
        target.unlink(missing_ok=True)
        try:
            target.hardlink_to(path)
        except OSError:  # another disk
            shutil.copyfile(path, target)
    shutil.copyfile(record_of(store), record_of(folder))


def _render_all(missing: list[Shard], scenes: Scenes, settings: SimulateConfig, folder: Path, record: Record) -> None:
    tasks = ((shard, scenes.take(slice(shard.start, shard.stop))) for shard in missing)
    processes = 0 if settings.workers == 1 or len(missing) <= 1 else min(settings.workers, len(missing))
    with worker_map(processes, ShardWriter.start, (settings, folder)) as ordered:
        written = ordered(ShardWriter.write, tasks)
        for files in tqdm(written, total=len(missing), desc="shards", leave=False, disable=None):
            record.write(files)


@dataclass(frozen=True)
class ShardWriter:
    """Writer of shards: renders and writes one at a time."""

    folder: Path
    renderer: Renderer
    chunk: int
    """scenes rendered together"""

    @classmethod
    def start(cls, settings: SimulateConfig, folder: Path) -> ShardWriter:
        """Make the writer of this process, and limit torch to one thread."""
        torch.set_num_threads(1)
        return cls(folder, renderer_of(settings), settings.chunk)

    def write(self, task: tuple[Shard, Scenes]) -> dict[str, str]:
        """Render one shard and write its three files; returns their digests."""
        shard, scenes = task
        images, masks, measured = [], [], []
        for rendered in in_chunks(self.renderer, scenes, self.chunk):
            images.append(stored(rendered))
            masks.append(truth_masks(rendered).cpu().numpy())
            measured.append(measurements(rendered))
        _write(self.folder / shard_name("images", shard.number), np.concatenate(images))
        _write(self.folder / shard_name("masks", shard.number), np.concatenate(masks))
        with replaced_whole(self.folder / shard.measured) as part:
            pd.concat(measured, ignore_index=True).to_parquet(part, index=False)
        return {name: sha256_of(self.folder / name) for name in shard.files}


def _write(path: Path, array: np.ndarray) -> None:
    with replaced_whole(path) as part, part.open("wb") as file:
        np.save(file, array)


def _finish(scenes: Scenes, settings: SimulateConfig, folder: Path, shards: list[Shard], record: Record) -> int:
    measured = [pd.read_parquet(folder / shard.measured) for shard in shards]
    columns = pd.concat(measured, ignore_index=True) if measured else pd.DataFrame(columns=list(MEASURED))
    truth = pd.concat([scenes.scenes.reset_index(drop=True), columns], axis=1)
    with replaced_whole(folder / "truth.parquet") as part:
        truth.to_parquet(part, index=False)
    files = ["truth.parquet", *(name for shard in shards for name in shard.files)]
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "renderer": settings.renderer,
        "n": len(scenes),
        "bands": [band.name for band in Band],
        "unit": "microjansky a pixel",
        "pixel_scale_arcsec": EUCLID.pixel_scale,
        "stamp": settings.stamp,
        "shard_size": settings.shard_size,
        "mask_bits": {"arc_1": ARC_1, "arc_2": ARC_2, "lens_light": LENS_LIGHT},
        "sha256": {name: record.files.get(name) or sha256_of(folder / name) for name in files},
    }
    write_json(folder / MANIFEST, manifest)
    return sum((folder / name).stat().st_size for name in files)
