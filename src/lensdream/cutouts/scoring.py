"""Scoring of files in several threads, each of which reads a batch of files and then scores it.

While one thread waits for the disk or reads, which needs Python's lock, the others run the network, which does not.
Each uses one core: on a busy machine that is four times as fast as one network on all cores, whose threads wait for
each other at every layer. A file that cannot be scored is reported with the reason and skipped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lensdream.cutouts.fits_planes import CutoutError
from lensdream.cutouts.reader import Cutout, read_cutout
from lensdream.cutouts.sources import Target
from lensdream.finder.finder import Finder, Scores

LARGEST_CPU_BATCH = 16
"""images scored together on a core: they stay in its cache, a quarter faster than 64"""
READERS_FOR_A_GPU = 4
"""threads where the network runs on a GPU: more than these would wait for Python's lock"""

Skip = Callable[[Path, str], None]


@dataclass(frozen=True)
class Score:
    """Scores of one target."""

    target: Target
    cutout: Cutout
    logit: float
    probability: float
    compound_probability: float
    """NaN below the finder's threshold of 1e-2"""
    looks_like: str | None
    """the likeliest class; None for a model without a class prior"""
    hits: Mapping[str, bool]
    """by false-positive rate: whether the logit is above its threshold"""

    def above(self, rate: str) -> bool | None:
        """Whether the logit is above the threshold of a rate; None without a threshold that holds for the image."""
        return None if self.cutout.unmeasured else self.hits.get(rate)


@dataclass(frozen=True)
class Unscored:
    """Target that cannot be scored, and the reason."""

    target: Target
    reason: str


def score_targets(
    targets: Sequence[Target], finder: Finder, *, batch_size: int, on_skip: Skip | None = None
) -> Iterator[Score]:
    """Score targets in order; `on_skip` is called with the file and the reason of each that cannot be scored.

    `batch_size`: images that the network takes at once, on a CPU at most `LARGEST_CPU_BATCH`.
    """
    on_cpu = finder.device.type == "cpu"
    cores = torch.get_num_threads()
    # One more than there are cores: one may wait for the disk.
    workers = cores + 1 if on_cpu else READERS_FOR_A_GPU
    size = min(batch_size, LARGEST_CPU_BATCH) if on_cpu else batch_size
    pool = ThreadPoolExecutor(workers, "cutouts", initializer=_use_one_core if on_cpu else None)
    waiting: deque[Future[list[Score | Unscored]]] = deque()
    try:
        for start in range(0, len(targets), size):
            waiting.append(pool.submit(_score_batch, targets[start : start + size], finder))
            if len(waiting) > 2 * workers:
                yield from _scored(waiting.popleft().result(), on_skip)
        while waiting:
            yield from _scored(waiting.popleft().result(), on_skip)
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(cores)  # threads that start later take the number that was set last


def _use_one_core() -> None:
    torch.set_num_threads(1)


def _score_batch(targets: Sequence[Target], finder: Finder) -> list[Score | Unscored]:
    results = [_read(target, finder) for target in targets]
    images = [result.image for result in results if isinstance(result, Cutout)]
    scores = finder.scores(torch.from_numpy(np.stack(images))) if images else None
    rows = iter(range(len(images)))
    return [
        Unscored(target, str(result))
        if isinstance(result, CutoutError)
        else _result(target, result, scores, next(rows))
        for target, result in zip(targets, results, strict=True)
    ]


def _read(target: Target, finder: Finder) -> Cutout | CutoutError:
    try:
        return read_cutout(target.path, finder.stamp, target.centre, finder.crop_pixels)
    except CutoutError as error:
        return error


def _result(target: Target, cutout: Cutout, scores: Scores, k: int) -> Score | Unscored:
    """Pair a cutout with the scores of the k-th image."""
    logit = float(scores.logit[k])
    if not np.isfinite(logit):
        return Unscored(target, f"the network's logit is {logit}: fluxes far out of range, or a damaged model")
    return Score(
        target,
        cutout,
        logit,
        float(scores.probability[k]),
        float(scores.compound_probability[k]),
        scores.looks_like[k],
        {rate: bool(hits[k]) for rate, hits in scores.above.items()},
    )


def _scored(results: Sequence[Score | Unscored], on_skip: Skip | None) -> Iterator[Score]:
    for result in results:
        if isinstance(result, Score):
            yield result
        elif on_skip is not None:
            # One file may hold many targets: those of a table have names.
            name = result.target.name
            on_skip(result.target.path, result.reason if name is None else f"{name}: {result.reason}")
