"""Fresh non-lenses in the proportions of a survey, drawn, rendered and scored in a stream.

What stays of a scene is its row of the table: family, seed and logit. Of the highest-scoring ones the images stay too, so
memory does not grow with the number of scenes but by those rows.
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
"""whose galaxies are drawn: neither training nor the choice of the epoch has seen one of them"""
EPOCH = 2**31
"""of the chunks: the store has those of epoch 0, and trainings those of the epochs after it, at most 10^4"""


@dataclass(frozen=True)
class Highest:
    """The highest-scoring scenes, in the order of their logits."""

    rows: pd.DataFrame
    """(n, columns of the truth table, `chunk` and `logit`)"""
    images: np.ndarray
    """(n, band, y, x) float16 [microjansky a pixel]"""

    @classmethod
    def of(cls, rows: pd.DataFrame, images: np.ndarray, keep: int) -> Highest:
        """The `keep` highest of these scenes; of equal ones those that come first."""
        order = np.argsort(-rows["logit"].to_numpy(), kind="stable")[:keep]
        return cls(rows.iloc[order].reset_index(drop=True), images[order])

    def merged_with(self, other: Highest, keep: int) -> Highest:
        """The `keep` highest of both."""
        rows = pd.concat([self.rows, other.rows], ignore_index=True)
        return Highest.of(rows, np.concatenate([self.images, other.images]), keep)


@dataclass(frozen=True)
class Scored:
    """Scenes that were scored."""

    table: pd.DataFrame
    """(N; family, seed, logit)"""
    highest: Highest


@contextmanager
def scoring(
    population: PopulationConfig, simulate: SimulateConfig, model: Path, settings: SurveyConfig, workers: int
) -> Iterator[Callable[[Iterable[Chunk]], Iterator[Scored]]]:
    """A function from chunks to the scored scenes of each, in their order, on `workers` processes; 0 for this one.

    `model` is its folder; the logits are for the shares of these settings, and do not depend on the processes. Of the early
    types `settings.near_miss` have a source beside the caustic, the others none. Of each chunk at least those images are
    kept that may be among the `settings.atlas` highest of all.
    """
    arguments = (population, simulate, drawing.draw_all_catalogs(population), model, settings)
    with worker_map(workers, ChunkScorer.start, arguments) as ordered:
        yield lambda tasks: ordered(ChunkScorer.score, tasks)


def joined(parts: Iterable[Scored], keep: int) -> Scored:
    """All parts as one, with the images of the `keep` highest; raises `TypeError` for no part at all."""
    tables: list[pd.DataFrame] = []

    def highest_of(parts: Iterable[Scored]) -> Iterator[Highest]:
        for part in parts:
            tables.append(part.table)
            yield part.highest

    highest = reduce(lambda first, second: first.merged_with(second, keep), highest_of(parts))
    return Scored(pd.concat(tables, ignore_index=True), highest)


@dataclass
class ChunkScorer:
    """Lots of a survey's non-lenses, drawn, rendered and scored one at a time."""

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
        """Make one for this process, and set its torch to one thread."""
        drawer = ImageDrawer.start(population, simulate, catalogs)
        finder = load_cascade(model, target_mix.survey_shares(settings))
        return cls(drawer, finder, settings, np.full(settings.atlas, -np.inf))

    def score(self, chunk: Chunk) -> Scored:
        """Draw, render and score a chunk.

        An image below the `settings.atlas` highest logits of this process cannot be among the highest of all: it stays behind.
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
