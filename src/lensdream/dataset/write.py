"""Rendering of a store, shard by shard on several processes; a killed run resumes at its first missing shard."""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

import lensdream
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
from lensdream.runtime.files import replaced_whole, sha256_of, write_json
from lensdream.runtime.processes import worker_map
from lensdream.scene import Scenes

RENDERING = ("optics", "render", "instrument.py", "scene.py")
"""packages and modules that determine the images"""
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
        """Name of the shard's table of measurements, which is written last."""
        return f"measured-{self.number:05d}.parquet"

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the shard's files."""
        return shard_name("images", self.number), shard_name("masks", self.number), self.measured


def write_store(scenes: Scenes, settings: SimulateConfig, folder: Path) -> int:
    """Render all scenes into `folder`; returns the bytes written.

    Finished shards of the same recipe are kept. Each file appears whole or not at all, the manifest last. Raises
    `ValueError` for scenes that cannot be drawn and `OSError` when the disk is full.
    """
    frame_of(settings)  # refuses an impossible frame before anything is written
    refuse_impossible(scenes)
    folder.mkdir(parents=True, exist_ok=True)
    recipe = recipe_of(scenes, settings)
    recipe_file = folder / "recipe.txt"
    if not recipe_file.is_file() or recipe_file.read_text() != recipe:
        for stale in folder.iterdir():
            stale.unlink()
        recipe_file.write_text(recipe)
    (folder / MANIFEST).unlink(missing_ok=True)
    n = len(scenes)
    shards = [
        Shard(k, start, min(start + settings.shard_size, n)) for k, start in enumerate(range(0, n, settings.shard_size))
    ]
    missing = [shard for shard in shards if not all((folder / name).is_file() for name in shard.files)]
    try:
        _render_all(missing, scenes, settings, folder)
        return _finish(scenes, settings, folder, shards, recipe)
    except OSError as error:
        if error.errno == errno.ENOSPC:
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


def recipe_of(scenes: Scenes, settings: SimulateConfig) -> str:
    """Digest of what determines the images: scenes, settings without the workers, and the rendering code."""
    digest = hashlib.sha256()
    for table in (scenes.scenes, scenes.components):
        digest.update(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
    digest.update(json.dumps({name: getattr(settings, name) for name in SHAPE}).encode())
    digest.update(code_digest(RENDERING).encode())
    return digest.hexdigest()


def code_digest(names: Iterable[str]) -> str:
    """Digest of the source of these packages and modules of lensdream."""
    digest = hashlib.sha256()
    package = Path(lensdream.__file__).parent
    for name in names:
        path = package / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _render_all(missing: list[Shard], scenes: Scenes, settings: SimulateConfig, folder: Path) -> None:
    tasks = ((shard, scenes.take(slice(shard.start, shard.stop))) for shard in missing)
    processes = 0 if settings.workers == 1 or len(missing) <= 1 else min(settings.workers, len(missing))
    with worker_map(processes, ShardWriter.start, (settings, folder)) as ordered:
        for _ in tqdm(ordered(ShardWriter.write, tasks), total=len(missing), desc="shards", leave=False, disable=None):
            pass


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

    def write(self, task: tuple[Shard, Scenes]) -> int:
        """Render one shard and write its three files, the table last: a shard with a table is complete."""
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
        return shard.number


def _write(path: Path, array: np.ndarray) -> None:
    with replaced_whole(path) as part, part.open("wb") as file:
        np.save(file, array)


def _finish(scenes: Scenes, settings: SimulateConfig, folder: Path, shards: list[Shard], recipe: str) -> int:
    measured = [pd.read_parquet(folder / shard.measured) for shard in shards]
    columns = pd.concat(measured, ignore_index=True) if measured else pd.DataFrame(columns=list(MEASURED))
    truth = pd.concat([scenes.scenes.reset_index(drop=True), columns], axis=1)
    with replaced_whole(folder / "truth.parquet") as part:
        truth.to_parquet(part, index=False)
    files = ["truth.parquet", *(name for shard in shards for name in shard.files)]
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "recipe": recipe,
        "renderer": settings.renderer,
        "n": len(scenes),
        "bands": [band.name for band in Band],
        "unit": "microjansky a pixel",
        "pixel_scale_arcsec": EUCLID.pixel_scale,
        "stamp": settings.stamp,
        "shard_size": settings.shard_size,
        "mask_bits": {"arc_1": ARC_1, "arc_2": ARC_2, "lens_light": LENS_LIGHT},
        "sha256": {name: sha256_of(folder / name) for name in files},
    }
    write_json(folder / MANIFEST, manifest)
    return sum((folder / name).stat().st_size for name in files)
