"""Stream of non-lenses in the proportions of a survey: drawn, rendered and scored chunk by chunk.

A table keeps family, seed and logit of each scene; images are kept of the highest-scoring scenes only, so memory grows with
the number of scenes by the rows of the table alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from lensdream.config import PopulationConfig, SimulateConfig, SurveyConfig
from lensdream.dataset import target_mix
from lensdream.dataset.on_the_fly import ImageDrawer
from lensdream.finder.finder import load_cascade
from lensdream.networks.predict import predict
from lensdream.population import drawing
from lensdream.population.catalogs import Catalogs
from lensdream.population.drawing import Chunk
from lensdream.render.batch import measurements, stored
from lensdream.runtime.processes import worker_map

SPLIT = "test"
"""split whose galaxies are drawn: no training and no choice of an epoch used one of them"""
EPOCH = 2**31
"""epoch of the chunks: the store has epoch 0, and trainings have the epochs after it, at most 10^4"""


@dataclass(frozen=True)
class Highest:
    """Highest-scoring scenes, in the order of their logits."""

    rows: pd.DataFrame
    """(n, columns of the truth table, `chunk` and `logit`)"""
    images: np.ndarray
    """(n, band, y, x) float16 [microjansky a pixel]"""

    @classmethod
    def of(cls, rows: pd.DataFrame, images: np.ndarray, keep: int) -> Highest:
        """Select the `keep` highest of these scenes; of equal logits, the first."""
        order = np.argsort(-rows["logit"].to_numpy(), kind="stable")[:keep]
        return cls(rows.iloc[order].reset_index(drop=True), images[order])

    def merged_with(self, other: Highest, keep: int) -> Highest:
        """Select the `keep` highest of both sets."""
        rows = pd.concat([self.rows, other.rows], ignore_index=True)
        return Highest.of(rows, np.concatenate([self.images, other.images]), keep)


@dataclass(frozen=True)
class Scored:
    """Table of scored scenes, and the highest-scoring ones with their images."""

    table: pd.DataFrame
    """(N; family, seed, logit)"""
    highest: Highest


@contextmanager
def scoring(
    population: PopulationConfig, simulate: SimulateConfig, model: Path, settings: SurveyConfig, workers: int
) -> Iterator[Callable[[Iterable[Chunk]], Iterator[Scored]]]:
    """Context of a function from chunks to their scored scenes, in order, on `workers` processes; 0 for this process.

    model: folder. The logits are for the class proportions of these settings, whatever the number of processes. A share
    `settings.near_miss` of the early types has a source outside of the caustic. Images are kept of all scenes of a chunk that
    may be among the `settings.atlas` highest of all.
    """
    arguments = (population, simulate, drawing.draw_all_catalogs(population), model, settings)
    with worker_map(workers, ChunkScorer.start, arguments) as ordered:
        yield lambda tasks: ordered(ChunkScorer.score, tasks)


def joined(parts: Iterable[Scored], keep: int) -> Scored:
    """Join parts, with the images of the `keep` highest scenes; raises `TypeError` without a part."""
    tables: list[pd.DataFrame] = []

    def highest_of(parts: Iterable[Scored]) -> Iterator[Highest]:
        for part in parts:
            tables.append(part.table)
            yield part.highest

    highest = reduce(lambda first, second: first.merged_with(second, keep), highest_of(parts))
    return Scored(pd.concat(tables, ignore_index=True), highest)


@dataclass
class ChunkScorer:
    """Scorer of chunks of a survey's non-lenses: draws, renders and scores one chunk at a time."""

    drawer: ImageDrawer
    model: nn.Module
    settings: SurveyConfig
    highest: np.ndarray
    """(settings.atlas,): the highest logits of this process so far, ascending"""

    @classmethod
    def start(
        cls,
        population: PopulationConfig,
        simulate: SimulateConfig,
        catalogs: Catalogs,
        model: Path,
        settings: SurveyConfig,
    ) -> ChunkScorer:
        """Make the scorer of this process, and set its torch to one thread."""
        drawer = ImageDrawer.start(population, simulate, catalogs)
        finder = load_cascade(model, target_mix.survey_shares(settings))
        return cls(drawer, finder, settings, np.full(settings.atlas, -np.inf))

    def score(self, chunk: Chunk) -> Scored:
        """Draw, render and score a chunk.

        An image below the `settings.atlas` highest logits of this process cannot be among the highest of all, and is dropped.
        """
        scenes = target_mix.draw(self.drawer.scene_drawer, chunk, self.settings.near_miss)
        rendered = [(stored(part), measurements(part)) for part in self.drawer.rendered(scenes)]
        images = np.concatenate([part for part, _ in rendered])
        measured = pd.concat([part for _, part in rendered], ignore_index=True)
        logits = predict(self.model, torch.from_numpy(images), self.settings.batch_size).numpy()
        rows = pd.concat([scenes.scenes.reset_index(drop=True), measured], axis=1).assign(
            chunk=chunk.number, logit=logits
        )
        keep = len(self.highest)
        self.highest = np.sort(np.concatenate([self.highest, logits]))[-keep:]
        may_stay = logits >= self.highest[0]
        return Scored(rows[["family", "seed", "logit"]], Highest.of(rows[may_stay], images[may_stay], keep))
