"""Drawing of all scenes of a scale, in chunks that do not depend on the number of processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from lensdream.config import PopulationConfig
from lensdream.families import COMPOUND_ARC, COMPOUND_TRAIN, DOUBLE_RING, FIELD, LENS, PAIRED, TRAIN, UNDETECTABLE
from lensdream.population import lenses, nonlenses
from lensdream.population.builder import SceneBuilder, to_table
from lensdream.population.catalogs import SHARES, Catalogs, draw_catalogs
from lensdream.runtime.processes import worker_map
from lensdream.scene import Scenes

DEFLECTORS = 150_000
CHUNK_SIZE = 100
"""scenes of one chunk, the partners of paired ones not counted"""
MAX_EMPTY_ROUNDS = 200
"""largest number of rounds in a row without any draw"""


@dataclass(frozen=True)
class Chunk:
    """Task of one process: the scenes are a pure function of the chunk and of the settings."""

    family: str
    split: str
    number: int
    n: int
    """scenes of the family"""
    controls: int = 0
    """paired controls drawn with the lenses"""
    epoch: int = 0
    """0 for the store; other epochs have other scenes"""


def draw_scenes(settings: PopulationConfig | None = None, workers: int = 1, catalogs: Catalogs | None = None) -> Scenes:
    """Draw all scenes of a population, in the order train, validation, test, undetectable, compound, compound_train.

    Parameters
    ----------
    settings : PopulationConfig, optional
        How many scenes of each split and family, and the seed; by default those of the quick scale, which take minutes.
    workers : int
        Processes; the scenes do not depend on it.
    catalogs : Catalogs, optional
        Galaxies and deflectors to pick from, of `draw_all_catalogs(settings)`; drawn anew by default.

    Returns
    -------
    Scenes
        Table of scenes, input of `Renderer`.

    Raises
    ------
    ValueError
        For settings that allow none of the scenes asked for; the message says which to change.

    Examples
    --------
    >>> from lensdream import draw_scenes
    >>> from lensdream.config import PopulationConfig
    >>> none = dict.fromkeys(["validation", "test", "undetectable", "compound_arc", "double_ring", "faint_second"], 0)
    >>> none |= {"compound_arc_train": 0, "double_ring_train": 0}
    >>> scenes = draw_scenes(PopulationConfig(sky_area=0.02, train=20, lens_fraction=0.5, **none))
    >>> sorted(scenes.scenes["label"].value_counts().items())  # non-lenses and lenses
    [(0, 10), (1, 10)]
    """
    settings = settings or PopulationConfig()
    tasks, catalogs = chunks(settings), catalogs or draw_all_catalogs(settings)
    with worker_map(0 if workers == 1 else workers, SceneDrawer.start, (settings, catalogs)) as ordered:
        return joined(
            tqdm(ordered(SceneDrawer.draw, tasks), total=len(tasks), desc="chunks of scenes", leave=False, disable=None)
        )


def draw_all_catalogs(settings: PopulationConfig) -> Catalogs:
    """Catalogues of every split: the galaxies and deflectors that the scenes of a scale are drawn from."""
    return draw_catalogs(settings.seed, settings.sky_area, settings.source_magnitude_limit, DEFLECTORS)


def chunks(settings: PopulationConfig) -> list[Chunk]:
    """All chunks of a scale."""
    tasks = [chunk for split in ("train", "validation", "test") for chunk in labelled_chunks(settings, split)]
    tasks += cut(UNDETECTABLE, "test", settings.undetectable)
    for family in lenses.COMPOUND_FAMILIES:
        tasks += cut(family, "compound", getattr(settings, family))
    tasks += cut(COMPOUND_ARC, COMPOUND_TRAIN, settings.compound_arc_train)
    tasks += cut(DOUBLE_RING, COMPOUND_TRAIN, settings.double_ring_train)
    return tasks


def labelled_chunks(settings: PopulationConfig, split: str, n: int | None = None, epoch: int = 0) -> list[Chunk]:
    """Chunks of the lenses and non-lenses of a split, in their shares: `n` scenes, by default the settings' number."""
    n = getattr(settings, split) if n is None else n
    n_lens = round(n * settings.lens_fraction)
    counts = {name: int((n - n_lens) * share) for name, share in settings.non_lens_shares.items()}
    counts[FIELD] += n - n_lens - sum(counts.values())
    n_controls = counts.pop(PAIRED)
    tasks = [
        Chunk(LENS, split, number, _within(n_lens, start), _within(n_controls, start), epoch)
        for number, start in enumerate(range(0, max(n_lens, n_controls), CHUNK_SIZE))
    ]
    for family, count in counts.items():
        tasks += cut(family, split, count, epoch)
    return tasks


def cut(family: str, split: str, n: int, epoch: int = 0) -> list[Chunk]:
    """Cut `n` scenes of a family into chunks."""
    return [
        Chunk(family, split, number, _within(n, start), epoch=epoch)
        for number, start in enumerate(range(0, n, CHUNK_SIZE))
    ]


def _within(n: int, start: int) -> int:
    """Number of the `n` scenes that fall into the chunk from `start` on."""
    return min(max(n - start, 0), CHUNK_SIZE)


def joined(parts: Iterable[Scenes]) -> Scenes:
    """One table of several, whose scenes, each counted from 0, are numbered through."""
    scenes, components, first = [], [], 0
    for part in parts:
        table = part.scenes
        partner = table["partner"].where(table["partner"] < 0, table["partner"] + first)
        scenes.append(table.assign(index=table["index"] + first, partner=partner))
        components.append(part.components.assign(scene=part.components["scene"] + first))
        first += len(part)
    if not scenes:
        return to_table([])
    return Scenes(pd.concat(scenes, ignore_index=True), pd.concat(components, ignore_index=True))


@dataclass(frozen=True)
class SceneDrawer:
    """Drawer of scenes, one chunk at a time."""

    settings: PopulationConfig
    catalogs: Mapping[str, Catalogs]
    """by split"""

    @classmethod
    def start(cls, settings: PopulationConfig, catalogs: Catalogs) -> SceneDrawer:
        """Make the drawer of this process, and limit torch to one thread."""
        torch.set_num_threads(1)
        parts = {name: catalogs.split(name) for name in SHARES}
        return cls(settings, parts | {COMPOUND_TRAIN: parts[TRAIN]})

    def draw(self, chunk: Chunk) -> Scenes:
        """Draw the scenes of a chunk, counted from 0; raises `ValueError` where the settings allow none."""
        stream = [self.settings.seed, *chunk.family.encode(), 0, *chunk.split.encode(), chunk.epoch, chunk.number]
        rng = np.random.default_rng(stream)
        return to_table(DRAWERS[chunk.family](chunk, self.settings, self.catalogs[chunk.split], rng))


def _lenses(
    chunk: Chunk, settings: PopulationConfig, catalogs: Catalogs, rng: np.random.Generator
) -> list[SceneBuilder]:
    """Lenses, then the paired controls of the first of them; in the training split a share has rare selections."""

    def gather(n: int, selection: lenses.Selection) -> list[SceneBuilder]:
        return _gather(LENS, n, lambda: lenses.draw_single(settings, catalogs, chunk.split, rng, selection)[0])

    wanted = max(chunk.n, chunk.controls)
    share = settings.rare_lenses / len(lenses.RARE_SELECTIONS) if chunk.split == TRAIN else 0.0
    found = [builder for selection in lenses.RARE_SELECTIONS for builder in gather(round(wanted * share), selection)]
    found += gather(wanted - len(found), lenses.ANY)
    if share:  # so that the controls are of all selections, too
        found = [found[k] for k in rng.permutation(len(found))]
    controls = lenses.controls(settings, found[: chunk.controls], rng) if chunk.controls else []
    return _paired(found[: chunk.n], controls)


def _undetectable(
    chunk: Chunk, settings: PopulationConfig, catalogs: Catalogs, rng: np.random.Generator
) -> list[SceneBuilder]:
    return _gather(chunk.family, chunk.n, lambda: lenses.draw_single(settings, catalogs, chunk.split, rng)[1])


def _compound(
    chunk: Chunk, settings: PopulationConfig, catalogs: Catalogs, rng: np.random.Generator
) -> list[SceneBuilder]:
    """Compound lenses, then the single lenses matched to them."""
    family = lenses.COMPOUND_FAMILIES[chunk.family]
    pairs = _gather(chunk.family, chunk.n, lambda: lenses.draw_compound(settings, catalogs, chunk.split, rng, family))
    return _paired([compound for compound, _ in pairs], [single for _, single in pairs])


def _non_lenses(
    chunk: Chunk, settings: PopulationConfig, catalogs: Catalogs, rng: np.random.Generator
) -> list[SceneBuilder]:
    return [nonlenses.draw(chunk.family, catalogs, chunk.split, rng, settings) for _ in range(chunk.n)]


DRAWERS: dict[str, Callable[[Chunk, PopulationConfig, Catalogs, np.random.Generator], list[SceneBuilder]]] = {
    LENS: _lenses,
    UNDETECTABLE: _undetectable,
    **dict.fromkeys(lenses.COMPOUND_FAMILIES, _compound),
    **dict.fromkeys(nonlenses.FAMILIES, _non_lenses),
}
"""how the scenes of each family are drawn; the paired controls come with their lenses"""


def _paired(builders: list[SceneBuilder], others: list[SceneBuilder]) -> list[SceneBuilder]:
    """One list of two, the k-th entries of both being partners; `partner` counts from the list's start."""
    for k, (builder, other) in enumerate(zip(builders, others, strict=False)):
        builder.row["partner"], other.row["partner"] = len(builders) + k, k
    return builders + others


def _gather(family: str, n: int, draw_round: Callable[[], list]) -> list:
    """First n draws of as many rounds as needed."""
    found: list = []
    empty_rounds = 0
    while len(found) < n:
        batch = draw_round()
        found += batch
        empty_rounds = 0 if batch else empty_rounds + 1
        if empty_rounds == MAX_EMPTY_ROUNDS:
            raise ValueError(
                f"population: {MAX_EMPTY_ROUNDS} rounds gave no {family}, {n} are wanted: loosen minimum_arc_snr or "
                "minimum_magnification, or widen sky_area"
            )
    return found[:n]
