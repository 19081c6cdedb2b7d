"""`lensdream population`: draw the scenes of a scale, describe them, and draw figures of their galaxies and lenses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from lensdream import config
from lensdream.commands.paths import Paths
from lensdream.commands.timings import timed_run
from lensdream.config import PopulationConfig, SimulateConfig
from lensdream.dataset.describe import describe_scenes
from lensdream.families import LENS, TRAIN
from lensdream.population import figures, forecast
from lensdream.population.catalogs import Catalogs
from lensdream.population.drawing import draw_all_catalogs, draw_scenes
from lensdream.runtime.files import write_json
from lensdream.scene import Scenes


def run(scale: str, root: Path = Path()) -> None:
    """Draw the scenes of a scale and write their tables, their description for git and their counts."""
    settings = config.load("population", PopulationConfig, scale, root / "params.yaml")
    workers = config.load("simulate", SimulateConfig, scale, root / "params.yaml").workers
    paths = Paths(scale, root)
    with timed_run("population", scale, settings, root=root) as run:
        catalogs = draw_all_catalogs(settings)
        scenes = draw_scenes(settings, workers, catalogs)
        scenes.save(paths.scenes)
        describe_scenes(paths.scenes, settings).write(paths.manifest("scenes"))
        metrics = summary(scenes)
        write_json(paths.metrics("population"), metrics)
        run.metrics({"n": len(scenes)})
        run.artifact(paths.manifest("scenes"), "manifests")
        for path in draw_figures(scenes, catalogs, paths.figures / "population"):
            run.figure(path)
    print(pd.Series(metrics["counts"]).to_string())


def summary(scenes: Scenes) -> dict[str, object]:
    """Counts by split and family, and percentiles 16, 50, 84 of the lenses' properties, drawn and forecast."""
    counts = scenes.scenes.groupby(["split", "family"]).size()
    natural = in_natural_proportions(scenes)
    rows = forecast.compare(natural).iterrows() if has_lenses(natural) else ()
    return {
        "counts": {f"{split}/{family}": int(n) for (split, family), n in counts.items()},
        "forecast": {
            name: {
                kind: [round(float(row[f"{kind}_{p}"]), 4) for p in forecast.PERCENTILES]
                for kind in ("forecast", "drawn")
            }
            | {"within": row["within"]}
            for name, row in rows
        },
    }


def draw_figures(scenes: Scenes, catalogs: Catalogs, folder: Path) -> list[Path]:
    """Draw the lenses, if any, with their forecast, and the galaxies with the published counts; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {"counts": figures.counts_figure(catalogs.galaxies, catalogs.sky_area)}
    natural = in_natural_proportions(scenes)
    if has_lenses(natural):
        drawn["forecast"] = figures.forecast_figure(natural)
    for name, page in drawn.items():
        page.savefig(folder / f"{name}.png")
    return [folder / f"{name}.png" for name in drawn]


def in_natural_proportions(scenes: Scenes) -> Scenes:
    """Scenes with lenses in natural proportions: all splits but the training split."""
    return scenes.take(np.flatnonzero(scenes.scenes["split"] != TRAIN))


def has_lenses(scenes: Scenes) -> bool:
    """Whether there is a detectable lens with one source among the scenes."""
    return bool(((scenes.scenes["family"] == LENS) & (scenes.scenes["label"] == 1)).any())
