"""The population stage: every scene of a scale, drawn in rounds that do not depend on how many processes draw them."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from lensdream import config, tracking
from lensdream.config import PopulationConfig, SimulateConfig
from lensdream.paths import Paths
from lensdream.population import lenses, nonlenses
from lensdream.population.draft import Draft, assemble
from lensdream.population.galaxies import Pools, draw_pools
from lensdream.scene import Scenes

DEFLECTORS = 150_000
ROUND = 200
"""non-lenses drawn in one round"""
_worker: dict[str, object] = {}


@dataclass(frozen=True)
class Round:
    """One round of draws: its result is a pure function of these."""

    kind: str
    split: str
    number: int


@dataclass(frozen=True)
class Controls:
    """A block of lenses, counted from `start` of its split, whose paired controls are wanted."""

    split: str
    start: int
    drafts: list[Draft]


def run(scale: str, root: Path = Path()) -> None:
    """Draw the scenes of a scale and write their tables and counts."""
    settings = config.load("population", PopulationConfig, scale, root / "params.yaml")
    workers = config.load("simulate", SimulateConfig, scale, root / "params.yaml").workers
    paths = Paths(scale, root)
    with tracking.stage_run("population", scale, settings, root=root) as run:
        started = time.perf_counter()
        scenes = draw_scenes(settings, workers)
        scenes.save(paths.scenes)
        metrics = summary(scenes) | {"seconds": round(time.perf_counter() - started, 1)}
        path = paths.metrics("population")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(metrics, indent=2) + "\n")
        run.metrics({"n": len(scenes), "seconds": metrics["seconds"]})
    print(pd.Series(metrics["counts"]).to_string())


def draw_scenes(settings: PopulationConfig, workers: int) -> Scenes:
    """All scenes of a scale, in the order train, validation, test, undetectable, compound."""
    pools = draw_pools(settings.seed, settings.sky_area, settings.source_magnitude_limit, DEFLECTORS)
    # spawned, not forked: a forked torch may hang
    with get_context("spawn").Pool(workers, _start_worker, (settings, pools)) as pool:
        drafts: list[Draft] = []
        for split in ("train", "validation", "test"):
            drafts += _labelled_split(settings, split, getattr(settings, split), pool.imap, len(drafts))
        drafts += _gather(pool.imap, "undetectable", "test", settings.undetectable)
        for family in ("compound_arc", "double_ring"):
            pairs = _gather(pool.imap, family, "compound", getattr(settings, family))
            for compound, single in pairs:
                compound.row["partner"], single.row["partner"] = len(drafts) + 1, len(drafts)
                drafts += [compound, single]
    return assemble(drafts)


def summary(scenes: Scenes) -> dict[str, object]:
    """Counts by split and family, and the percentiles 16, 50, 84 of what the lenses are like."""
    table = scenes.scenes
    counts = table.groupby(["split", "family"]).size()
    found = table[(table["label"] == 1) & (table["family"] == "lens")]
    columns = ("z_lens", "z_source_1", "theta_E_1", "sigma_lens", "mass_q", "magnification_1", "arc_snr")
    return {
        "counts": {f"{split}/{family}": int(n) for (split, family), n in counts.items()},
        "lens_percentiles_16_50_84": {
            name: [round(float(value), 4) for value in np.percentile(found[name], [16, 50, 84])] for name in columns
        }
        if len(found)
        else {},
    }


def _labelled_split(settings: PopulationConfig, split: str, n: int, imap: Callable, first: int) -> list[Draft]:
    """Lenses and non-lenses of a split; `partner` of the paired controls counts from `first`."""
    n_lens = round(n * settings.lens_fraction)
    shares = settings.non_lens_shares
    counts = {name: int((n - n_lens) * share) for name, share in shares.items()}
    counts["field"] += n - n_lens - sum(counts.values())
    drafts = _gather(imap, "lens", split, max(n_lens, counts["elliptical"]))
    paired = drafts[: counts["elliptical"]]
    blocks = [Controls(split, k, paired[k : k + ROUND]) for k in range(0, len(paired), ROUND)]
    controls = [control for block in imap(_draw_controls, blocks) for control in block]
    drafts = drafts[:n_lens]
    for k, control in enumerate(controls[:n_lens]):
        control.row["partner"], drafts[k].row["partner"] = first + k, first + n_lens + k
    drafts += controls
    for family in nonlenses.FAMILIES:
        drafts += _gather(imap, family, split, counts[family])
    return drafts


def _gather(imap: Callable, kind: str, split: str, n: int) -> list:
    """The first n draws of as many rounds as it takes."""
    found: list = []
    if n == 0:
        return found

    rounds = (Round(kind, split, number) for number in itertools.count())
    with tqdm(total=n, desc=f"{split} {kind}", leave=False) as bar:
        barren = 0
        for batch in _ordered(imap, rounds):
            barren = 0 if batch else barren + 1
            if barren > 200:
                raise ValueError(
                    f"population: 200 rounds gave no {kind}: loosen minimum_arc_snr or minimum_magnification, "
                    "or widen sky_area"
                )
            found += batch
            bar.update(min(len(batch), n - bar.n))
            if len(found) >= n:
                break
    return found[:n]


def _ordered(imap: Callable, rounds: Iterator[Round]) -> Iterator[list]:
    """Results in the rounds' order, a few rounds read ahead (`imap` itself would read an endless iterator to its end).

    What is drawn ahead and not needed is dropped, so the result does not depend on the number of processes.
    """
    while True:
        yield from imap(_draw_round, list(itertools.islice(rounds, 4)))


def _start_worker(settings: PopulationConfig, pools: Pools) -> None:
    torch.set_num_threads(1)
    _worker["settings"] = settings
    _worker["pools"] = {name: pools.split(name) for name in ("train", "validation", "test", "compound")}


def _draw_controls(block: Controls) -> list[Draft]:
    settings = _worker["settings"]
    rng = np.random.default_rng([settings.seed, *b"controls", *block.split.encode(), block.start])
    return lenses.controls(settings, block.drafts, rng)


def _draw_round(task: Round) -> list:
    settings, pools = _worker["settings"], _worker["pools"][task.split]
    stream = [settings.seed, *task.kind.encode(), 0, *task.split.encode(), task.number]
    rng = np.random.default_rng(stream)
    if task.kind in ("lens", "undetectable"):
        return lenses.draw_single(settings, pools, task.split, rng)[task.kind == "undetectable"]
    if task.kind in ("compound_arc", "double_ring"):
        return lenses.draw_compound(settings, pools, rng, rings=task.kind == "double_ring")
    return [nonlenses.draw(task.kind, pools, task.split, rng, settings.magnitude_limit) for _ in range(ROUND)]
