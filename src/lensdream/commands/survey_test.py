"""`lensdream survey-test`: measure the finder on newly simulated non-lenses in the proportions of a survey."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd
from torch import Tensor

from lensdream import config, tracking
from lensdream.commands.paths import Paths
from lensdream.commands.results import record, write_table
from lensdream.config import PopulationConfig, SimulateConfig, SurveyConfig
from lensdream.dataset import target_mix
from lensdream.dataset.store import ImageStore
from lensdream.evaluate import atlas, figures, selection
from lensdream.evaluate.survey import calibration, measure, measured_shortcuts, report, scored_lenses, streamed
from lensdream.finder import operating_points
from lensdream.finder.finder import Finder, Scores
from lensdream.finder.operating_points import OperatingPoints
from lensdream.networks.layout import SURVEY_POINTS
from lensdream.scene import Scenes


def run(scale: str, root: Path = Path()) -> None:
    """Score the non-lenses; write `metrics/<scale>/survey-test.json`, logits, thresholds, the atlas and figures."""
    settings = config.load("survey", SurveyConfig, scale, root / "params.yaml")
    population = config.load("population", PopulationConfig, scale, root / "params.yaml")
    simulate = config.load("simulate", SimulateConfig, scale, root / "params.yaml")
    paths = Paths(scale, root)
    shares = target_mix.survey_shares(settings)
    finder = Finder.unmeasured(paths.model, shares)
    lenses, others = (scored_lenses(paths.scores / "test.parquet", split) for split in ("test", "validation"))
    scenes, store = Scenes.load(paths.scenes), ImageStore.open(paths.images)

    def score(images: Tensor) -> Scores:
        return finder.scores(images, batch_size=settings.batch_size)

    datasets = {"scenes": paths.scenes, "images": paths.images}
    with tracking.stage_run("survey-test", scale, settings, root=root, datasets=datasets) as run:
        started = time.perf_counter()
        survey = streamed(population, simulate, settings, paths.model)
        seconds = time.perf_counter() - started
        result = {"n": settings.n, "seconds": round(seconds, 1), "images_per_second": round(settings.n / seconds, 1)}
        logits, of_lenses = survey.table["logit"].to_numpy(float), lenses["logit"].to_numpy(float)
        result |= measure(survey.table, of_lenses, settings)
        result |= calibration(logits, others["logit"].to_numpy(float), of_lenses, settings)
        rates = operating_points.at_rates(logits, operating_points.measurable(settings.n))
        points = OperatingPoints(rates, result["temperature"], shares if finder.corrects_prior else None)
        operating_points.write(paths.model, points, SURVEY_POINTS)
        result["atlas"] = survey.highest.rows["family"].value_counts().to_dict()
        threshold = result["threshold_fpr_1e-3"]["value"]
        result["shortcuts"] = measured_shortcuts(score, scenes, store, lenses, simulate, settings, threshold)
        write_table(survey.table, paths.survey / "scores.parquet")
        write_table(survey.highest.rows, paths.survey / "atlas.parquet")
        np.save(paths.survey / "atlas.npy", survey.highest.images)
        at = {"0.5": 0.0} | dict(points.thresholds)
        about = store.truth.set_index("index").loc[lenses["index"]]
        result["selection_function"] = selection.completeness(about, of_lenses, at)
        result["selection_map"] = selection.completeness_map(about, of_lenses, threshold)
        drawn = {
            "selection": figures.selection(result["selection_function"]),
            "selection-map": figures.selection_map(result["selection_map"], "a survey's false-positive rate of 1e-3"),
            "scores": figures.tails_by_family(pd.concat([survey.table, lenses], ignore_index=True), at),
        }
        record(run, paths, "survey-test", result, drawn, {"atlas": atlas.draw(survey.highest)})
        run.metrics({name: result[name] for name in ("n", "seconds", "images_per_second")})
    print(report(result))
