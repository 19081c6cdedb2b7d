"""Training without a store: every epoch has scenes of its own, drawn while the previous epoch trains."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from lensdream.config import PopulationConfig, SimulateConfig
from lensdream.dataset.labelled import LabelledImages
from lensdream.dataset.store import ImageStore
from lensdream.dataset.write import decides_nothing
from lensdream.families import LENS
from lensdream.instrument import Band
from lensdream.population import drawing
from lensdream.population.catalogs import Catalogs
from lensdream.population.drawing import Chunk, SceneDrawer
from lensdream.render.batch import in_chunks, renderer_of, stored
from lensdream.render.renderer import Rendered, Renderer
from lensdream.runtime.processes import OrderedMap, worker_map
from lensdream.runtime.source_digest import digests
from lensdream.scene import Scenes

SPLIT = "train"


@dataclass(frozen=True)
class FreshScenes:
    """`TrainingImages` whose epochs share no scene: epoch k is a pure function of the settings and k.

    Galaxies, families and their shares are those of the store's training split, of which no scene is drawn again.
    """

    population: PopulationConfig
    simulate: SimulateConfig
    n: int
    """scenes of an epoch"""
    epochs: int
    """epochs of the training: after the last nothing is drawn ahead"""
    ordered: OrderedMap
    """map over processes with an `ImageDrawer` each"""
    _ahead: dict[int, Iterator] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a number of scenes that gives no lens or no non-lens."""
        n_lens = sum(chunk.n for chunk in self.chunks(0) if chunk.family == LENS)
        if not 0 < n_lens < self.n:
            raise ValueError(
                f"train.fresh_scenes = {self.n} gives {n_lens} lenses an epoch and {self.n - n_lens} non-lenses, both are "
                "needed: raise it or change population.lens_fraction"
            )

    def __len__(self) -> int:
        """Count the images of an epoch."""
        return self.n

    @property
    def identity(self) -> str:
        """Settings and code that determine the images, as JSON."""
        return json.dumps([self.n, identity_of(self.population, self.simulate)])

    def chunks(self, epoch: int) -> list[Chunk]:
        """Chunks of an epoch; the store's scenes are those of epoch 0 of the chunks."""
        return drawing.labelled_chunks(self.population, SPLIT, self.n, epoch + 1)

    def epoch(self, number: int, model: nn.Module | None = None) -> LabelledImages:
        """Images of an epoch, for any model; drawing those of the next epoch begins."""
        side = self.simulate.stamp
        images = torch.empty(self.n, len(Band), side, side, dtype=torch.float16)
        labels = torch.empty(self.n)
        drawn = self._ahead.pop(number, None) or self._begin(number)
        start = 0
        n_chunks = len(self.chunks(number))
        for part, part_labels in tqdm(
            drawn, total=n_chunks, desc=f"scenes of epoch {number}", leave=False, disable=None
        ):
            inside = slice(start, start + len(part))
            images[inside], labels[inside] = torch.from_numpy(part), torch.from_numpy(part_labels)
            start += len(part)
        if number + 1 < self.epochs:
            self._ahead[number + 1] = self._begin(number + 1)
        return LabelledImages(images, labels)

    def n_distinct(self, epochs: int) -> int:
        """Number of distinct images: every epoch has new ones."""
        return self.n * epochs

    def _begin(self, number: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return self.ordered(ImageDrawer.draw, self.chunks(number))


@contextmanager
def fresh_scenes(population: PopulationConfig, simulate: SimulateConfig, n: int, epochs: int) -> Iterator[FreshScenes]:
    """Context of `n` fresh scenes in each of `epochs` epochs, drawn by `simulate.workers` processes that end with it."""
    catalogs = drawing.draw_all_catalogs(population)
    with worker_map(simulate.workers, ImageDrawer.start, (population, simulate, catalogs)) as ordered:
        yield FreshScenes(population, simulate, n, epochs, ordered)


def require_size(simulate: SimulateConfig, store: ImageStore) -> None:
    """Raise `ValueError` for fresh images of another size than those of the store that validates."""
    if simulate.stamp != store.stamp:
        raise ValueError(
            f"simulate.stamp = {simulate.stamp} is not the {store.stamp} pixels of {store.folder}, whose images validate: "
            "run the simulate stage again"
        )


def identity_of(population: PopulationConfig, simulate: SimulateConfig) -> str:
    """Settings and code that determine fresh images, as JSON."""
    settings = dataclasses.asdict(population), dataclasses.asdict(simulate) | {"workers": None}
    return json.dumps([settings, digests(["population.drawing", "render.batch"], without=decides_nothing)])


@dataclass(frozen=True)
class ImageDrawer:
    """Drawer of images: draws and renders the scenes of one chunk at a time."""

    scene_drawer: SceneDrawer
    renderer: Renderer
    chunk: int
    """scenes rendered together"""

    @classmethod
    def start(cls, population: PopulationConfig, simulate: SimulateConfig, catalogs: Catalogs) -> ImageDrawer:
        """Make the drawer of this process, and limit torch to one thread."""
        return cls(SceneDrawer.start(population, catalogs), renderer_of(simulate), simulate.chunk)

    def draw(self, chunk: Chunk) -> tuple[np.ndarray, np.ndarray]:
        """Images (n, band, y, x) float16 and labels (n,) float32 of a chunk."""
        return self.images_and_labels(self.scene_drawer.draw(chunk))

    def images_and_labels(self, scenes: Scenes) -> tuple[np.ndarray, np.ndarray]:
        """Images (n, band, y, x) float16 and labels (n,) float32 of scenes."""
        return self.images(scenes), scenes.scenes["label"].to_numpy(np.float32)

    def images(self, scenes: Scenes) -> np.ndarray:
        """Images (n, band, y, x) float16 of scenes."""
        return np.concatenate([stored(part) for part in self.rendered(scenes)])

    def rendered(self, scenes: Scenes) -> Iterator[Rendered]:
        """Renderings of scenes, some at a time."""
        return in_chunks(self.renderer, scenes, self.chunk)
