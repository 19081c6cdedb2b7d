"""`lensdream observe`: score real cutouts with the model of a scale; table, metrics and a page of pictures."""

from __future__ import annotations

import heapq
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lensdream import config
from lensdream.commands.paths import Paths
from lensdream.commands.score import row_of, save_table, table_of
from lensdream.commands.timings import Clock, timed_run
from lensdream.config import ExplainConfig, ObserveConfig
from lensdream.cutouts.page import credit_of, draw_sheets, page
from lensdream.cutouts.reader import text_of
from lensdream.cutouts.scoring import Score, score_targets
from lensdream.cutouts.sources import Target, TargetKind, find_files, tabled_targets
from lensdream.dataset.store import ImageStore, StoreError
from lensdream.evaluate.explanations import real_cutouts
from lensdream.finder.finder import Finder
from lensdream.finder.operating_points import OperatingPoints
from lensdream.plots.encoded import png
from lensdream.runtime.files import write_json, write_whole

MORE_FOLDERS = "LENSDREAM_CUTOUTS"
"""environment variable that names folders of cutouts outside the repository, separated as in PATH"""
REMEDY = f"put FITS cutouts into data/cutouts/ or name folders of them in {MORE_FOLDERS}, then run the stage again"
EXPLAINED = 6
"""cutouts with maps, those of the highest logits; objects in larger images have none"""
COLUMNS = ("path", "object", "kind", "probability", "logit", "above_fpr_1e-2", "above_fpr_1e-3", "flags", "model")


def run(scale: str, root: Path = Path()) -> None:
    """Score the FITS files in `data/cutouts` and in the folders of LENSDREAM_CUTOUTS, and objects named by tables.

    Writes `scores.csv`, `page.html`, `sheet-*.png` and, where the scale's images are there to compare with,
    `real-lenses.png` under `artifacts/<scale>/observed`, and `metrics/<scale>/observe.json`. No files at all: a message,
    an empty table and page. Raises `ModelError` without a trained model.
    """
    clock = Clock()
    settings = config.load("observe", ObserveConfig, scale, root / "params.yaml")
    explaining = config.load("explain", ExplainConfig, scale, root / "params.yaml")
    paths = Paths(scale, root)
    finder = Finder.load(paths.model)
    targets, skipped = _targets(paths, os.environ)
    data = {"cutouts": paths.cutouts, "model": paths.model}
    if not targets:
        print(f"no real cutouts: {REMEDY}")
    with timed_run("observe", scale, settings, root=root, datasets=data, clock=clock) as tracked:
        rows: list[dict[str, object]] = []
        best, explained = Highest(settings.pictures), Highest(EXPLAINED)
        scores = score_targets(
            targets, finder, batch_size=settings.batch_size, on_skip=lambda path, reason: _skip(skipped, path, reason)
        )
        for score in scores:
            rows.append(_row(score))
            best.add(score)
            if score.target.kind is TargetKind.CUTOUT:
                explained.add(score)
        table = table_of(rows, f"models/{scale}@{finder.digest[:12]}", COLUMNS)
        save_table(table, paths.observed / "scores.csv")
        for sheet in _write_page(paths, rows, best.in_order(), skipped, finder.points):
            tracked.figure(sheet)
        _write_maps(paths, finder, explained.in_order(), explaining)
        metrics = _metrics(rows, skipped, finder.points)
        above = [bool(row["above_fpr_1e-3"]) for row in rows]
        tracked.metrics({"n": len(rows), "n_skipped": len(skipped), "n_above_fpr_1e-3": sum(above)})
    write_json(paths.metrics("observe"), metrics)
    print(f"{len(rows)} scored, {len(skipped)} skipped -> {paths.observed / 'page.html'}")


@dataclass
class Highest:
    """Scores of the highest logits, so that only some images of a large folder stay in memory."""

    most: int
    _heap: list[tuple[float, int, Score]] = field(default_factory=list)
    _added: int = 0

    def add(self, score: Score) -> None:
        """Keep a score if it is one of the `most` highest so far; of equal logits, the first."""
        self._added += 1
        heapq.heappush(self._heap, (score.logit, -self._added, score))
        if len(self._heap) > self.most:
            heapq.heappop(self._heap)

    def in_order(self) -> list[Score]:
        """Scores from the highest logit down."""
        return [score for *_, score in sorted(self._heap, key=lambda entry: entry[:2], reverse=True)]


def _targets(paths: Paths, environment: Mapping[str, str]) -> tuple[list[Target], list[dict[str, str]]]:
    """Targets to score, and skipped tables and folders: `{file, reason}`."""
    skipped: list[dict[str, str]] = []
    named = [Path(name) for name in environment.get(MORE_FOLDERS, "").split(os.pathsep) if name]
    for folder in named:
        if not folder.is_dir():
            _skip(skipped, folder, f"{MORE_FOLDERS} names it, but there is no such folder")
    folders = [folder for folder in (paths.cutouts, *named) if folder.is_dir()]
    files, _ = find_files([str(folder) for folder in folders])
    positions, refused = tabled_targets(folders)
    for table, reason in refused:
        _skip(skipped, table, reason)
    return [*(Target(path) for path in files), *positions], skipped


def _skip(skipped: list[dict[str, str]], path: Path, reason: str) -> None:
    # The name only: metrics are in git and shall not know this machine's folders.
    skipped.append({"file": text_of(path.name), "reason": reason})
    print(f"skipped {text_of(path)}: {reason}")


def _row(score: Score) -> dict[str, object]:
    return {
        **row_of(score),
        "file": text_of(score.target.path.name),
        "kind": score.target.kind.value,
        "above_fpr_1e-2": score.above("fpr_1e-2"),
    }


def _write_page(
    paths: Paths,
    rows: list[dict[str, object]],
    shown: list[Score],
    skipped: list[dict[str, str]],
    points: OperatingPoints,
) -> list[Path]:
    """Write sheets and then the page that names them; returns the sheets."""
    contents = draw_sheets(shown)
    sheets = [paths.observed / f"sheet-{number:02d}.png" for number in range(1, len(contents) + 1)]
    for sheet, content in zip(sheets, contents, strict=True):
        write_whole(sheet, content)
    ordered = sorted(rows, key=lambda row: row["logit"], reverse=True)
    credit = credit_of(score.cutout.origin for score in shown)
    html = page(paths.scale, ordered, skipped, points, [sheet.name for sheet in sheets], credit, REMEDY)
    write_whole(paths.observed / "page.html", html.encode())
    for old in set(paths.observed.glob("sheet-*.png")) - set(sheets):
        old.unlink()
    return sheets


def _write_maps(paths: Paths, finder: Finder, scores: list[Score], settings: ExplainConfig) -> None:
    """Write maps of these cutouts and of simulated lenses; without cutouts or images the old picture is removed."""
    if not scores:
        paths.real_lenses.unlink(missing_ok=True)
        return
    try:
        store = ImageStore.open(paths.images)
    except StoreError as error:  # a fresh clone has none; scores need none
        print(f"no maps of real cutouts beside simulated lenses: {error}")
        paths.real_lenses.unlink(missing_ok=True)
        return
    images = np.stack([score.cutout.image for score in scores])
    credit = credit_of(score.cutout.origin for score in scores)
    names = [score.cutout.object for score in scores]
    write_whole(paths.real_lenses, png(real_cutouts.page(finder, names, images, store, settings, credit)))


def _metrics(
    rows: list[dict[str, object]], skipped: list[dict[str, str]], points: OperatingPoints
) -> dict[str, object]:
    columns = ("file", "object", "kind", "probability", "logit", "above_fpr_1e-2", "above_fpr_1e-3", "flags")
    return {
        "n": len(rows),
        "n_skipped": len(skipped),
        # A rate that no threshold reaches is stored as infinity, which JSON has not.
        **{f"threshold_{rate}": _finite(points.thresholds.get(rate)) for rate in ("fpr_1e-2", "fpr_1e-3")},
        "files": [{column: row[column] for column in columns} for row in rows],
        "skipped": skipped,
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
