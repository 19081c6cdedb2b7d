"""Hard negatives: fresh non-lenses that score like lenses in a training are added to its images.

Low false-positive rates are decided by one non-lens in a thousand, of which a store has few. A round draws and renders many
more, keeps those that score high, and puts them in place of stored ones that score low. Every image then weighs as
if all the fresh ones had been stored, so that scores stay probabilities.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from lensdream.config import PopulationConfig, SimulateConfig
from lensdream.dataset import on_the_fly
from lensdream.dataset.labelled import LabelledImages
from lensdream.dataset.on_the_fly import ImageDrawer
from lensdream.networks.predict import predict
from lensdream.population import drawing
from lensdream.runtime import checkpoint
from lensdream.runtime.distributed import ALONE, Ranks
from lensdream.runtime.processes import worker_map

HARD_LOGIT = -1.0
"""logit from which a non-lens is hard: a false alarm, or nearly one"""
FIRST_EPOCH = 2**30
"""epoch of the first round's chunks: other fresh scenes have smaller numbers"""

Draw = Callable[[int], Iterator[np.ndarray]]
"""(round) -> images (n, band, y, x) float16 of its fresh non-lenses, part by part"""


@dataclass(frozen=True)
class Round:
    """One round of scoring fresh non-lenses: when it happens and where its result is kept."""

    number: int
    epoch: int
    """epoch before which the round happens"""
    path: Path
    """file of the hard negatives found, for a resumed training"""


class WithHardNegatives:
    """`TrainingImages` of a store in which hard negatives replace easy ones, round by round.

    The images change in place: memory does not grow. What a round kept is on disk until the training ends.
    """

    def __init__(
        self, stored: LabelledImages, draw: Draw, n: int, rounds: list[Round], identity: str, ranks: Ranks = ALONE
    ) -> None:
        """Start with the stored images; `n`: fresh non-lenses a round; `identity`: of the settings and code that draw them."""
        self.identity = json.dumps([stored.identity, n, [r.epoch for r in rounds], HARD_LOGIT, identity])
        self.n_negatives = int((stored.labels == 0).sum())
        self._current = dataclasses.replace(stored, weights=torch.ones(len(stored)))
        self._draw, self._n, self._rounds, self._ranks = draw, n, rounds, ranks
        self._taken = 0  # rounds

    def __len__(self) -> int:
        """Count the images of an epoch."""
        return len(self._current)

    def epoch(self, number: int, model: nn.Module) -> LabelledImages:
        """Images of an epoch, after the rounds that come before it."""
        for due in self._rounds[self._taken :]:
            if due.epoch <= number:
                self._take(due, model)
        return self._current

    def n_distinct(self, epochs: int) -> int:
        """Number of images of the store and of the hard ones of earlier rounds, whichever process found them."""
        kept = (checkpoint.load(due.path, self.identity) for due in self._rounds if due.epoch < epochs)
        return len(self) + sum(len(found["rows"]) for found in kept if found is not None)

    def _take(self, due: Round, model: nn.Module) -> None:
        found = checkpoint.load(due.path, self.identity)
        if self._ranks.of_first(found is None):
            if self._ranks.first:
                checkpoint.save(due.path, self._found(due, model) | {"identity": self.identity})
            self._ranks.of_first(True)  # the others wait
            found = checkpoint.load(due.path, self.identity)
        rows, images = found["rows"], found["images"]
        self._current.images[rows] = images
        self._current = dataclasses.replace(self._current, weights=found["weights"])
        self._taken += 1
        if self._ranks.first:
            print(f"round {due.number}: {len(rows)} of {self._n} fresh non-lenses are hard", flush=True)

    def _found(self, due: Round, model: nn.Module) -> dict[str, Tensor]:
        """Images of hard negatives, the rows that they replace, and the weight of every row."""
        parts = map(torch.from_numpy, self._draw(due.number))
        kept = [part[predict(model, part, device=self._ranks.device) > HARD_LOGIT] for part in parts]
        images = torch.cat([part for part in kept if len(part)] or [self._current.images[:0]])
        stored = self._current
        logits = predict(model, stored.images, device=self._ranks.device)
        easy = (stored.labels == 0) & (logits <= HARD_LOGIT)
        rows = rows_to_replace(easy, len(images), due.number)
        hard = (stored.labels == 0) & ~easy
        hard[rows] = True
        share = self.n_negatives / (self.n_negatives + self._n * (due.number + 1))
        return {"rows": rows, "images": images[: len(rows)], "weights": weights(stored.labels, hard, share)}


def rows_to_replace(easy: Tensor, n: int, seed: int) -> Tensor:
    """Rows (n,) of easy images, at random, that hard ones replace; at most half of the easy ones are replaced.

    easy (N,) bool of the images.
    """
    rows = torch.nonzero(easy).flatten()
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    return rows[order[: min(n, len(rows) // 2)]].sort().values


def weights(labels: Tensor, hard: Tensor, share: float) -> Tensor:
    """Weights (N,) of images: `share` for a hard non-lens, and for all non-lenses the same sum as without hard ones.

    labels (N,) of 0 and 1, hard (N,) bool.
    """
    easy = (labels == 0) & ~hard
    found = torch.ones(len(labels))
    found[hard] = share
    found[easy] = float((labels == 0).sum() - share * hard.sum()) / max(int(easy.sum()), 1)
    return found


def rounds(n: int, epochs: int, folder: Path) -> list[Round]:
    """The n rounds of a training, evenly spread over its epochs, with their files in a folder."""
    between = epochs / (n + 1)
    return [Round(k, round((k + 1) * between), folder / f"round-{k}.pt") for k in range(n)]


def fresh_non_lenses(population: PopulationConfig, simulate: SimulateConfig, n: int) -> Draw:
    """Function that draws `n` fresh non-lenses a round in the training split's shares, on `simulate.workers` processes."""
    only = dataclasses.replace(population, lens_fraction=0.0)

    def draw(number: int) -> Iterator[np.ndarray]:
        chunks = drawing.labelled_chunks(only, on_the_fly.SPLIT, n, FIRST_EPOCH + number)
        catalogs = drawing.draw_all_catalogs(only)
        with worker_map(simulate.workers, ImageDrawer.start, (only, simulate, catalogs)) as ordered:
            drawn = ordered(ImageDrawer.draw, chunks)
            yield from (
                images
                for images, _ in tqdm(drawn, total=len(chunks), desc=f"round {number}", leave=False, disable=None)
            )

    return draw
