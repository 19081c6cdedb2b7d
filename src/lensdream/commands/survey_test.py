"""`lensdream survey-test`: measure the finder on fresh non-lenses in the proportions of a survey."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd
from torch import Tensor

from lensdream import config, metrics, tracking
from lensdream.commands.paths import Paths
from lensdream.config import PopulationConfig, SimulateConfig, SurveyConfig
from lensdream.dataset import target_mix
from lensdream.dataset.store import ImageStore
from lensdream.evaluate import atlas, figures, selection
from lensdream.evaluate.survey import calibration, measure, measured_shortcuts, report, scored_lenses, streamed
from lensdream.finder import operating_points
from lensdream.finder.finder import Finder
from lensdream.finder.operating_points import OperatingPoints
from lensdream.networks.layout import SURVEY_POINTS
from lensdream.runtime.files import write_json
from lensdream.scene import Scenes


def run(scale: str, root: Path = Path()) -> None:
    """Stream the non-lenses; write `metrics/<scale>/survey-test.json`, the logits, the atlas and a figure of the scores."""
    settings = config.load("survey", SurveyConfig, scale, root / "params.yaml")
    population = config.load("population", PopulationConfig, scale, root / "params.yaml")
    simulate = config.load("simulate", SimulateConfig, scale, root / "params.yaml")
    paths = Paths(scale, root)
    shares = target_mix.survey_shares(settings)
    finder = Finder.unmeasured(paths.model, shares)
    lenses, others = (scored_lenses(paths.scores / "test.parquet", split) for split in ("test", "validation"))
    scenes, store = Scenes.load(paths.scenes), ImageStore.open(paths.images)

    def logits_of(images: Tensor) -> np.ndarray:
        return finder.scores(images, batch_size=settings.batch_size).logit

    def training_mix_logits_of(images: Tensor) -> np.ndarray:
        return finder.scores(images, batch_size=settings.batch_size).training_mix_logit

    datasets = {"scenes": paths.scenes, "images": paths.images}
    with tracking.stage_run("survey-test", scale, settings, root=root, datasets=datasets) as run:
        started = time.perf_counter()
        survey = streamed(population, simulate, settings, paths.model)
        seconds = time.perf_counter() - started
        result = {"n": settings.n, "seconds": round(seconds, 1), "images_per_second": round(settings.n / seconds, 1)}
        result |= measure(survey.table, lenses["logit"].to_numpy(float), settings)
        logits = survey.table["logit"].to_numpy(float)
        result |= calibration(logits, others["logit"].to_numpy(float), lenses["logit"].to_numpy(float), settings)
        points = OperatingPoints(
            operating_points.at_rates(logits, operating_points.measurable(settings.n)),
            result["temperature"],
            shares if finder.corrects_prior else None,
        )
        operating_points.write(paths.model, points, SURVEY_POINTS)
        result["atlas"] = survey.highest.rows["family"].value_counts().to_dict()
        threshold = result["threshold_fpr_1e-3"]["value"]
        result["shortcuts"] = measured_shortcuts(
            logits_of, training_mix_logits_of, scenes, store, lenses, simulate, settings, threshold
        )
        paths.survey.mkdir(parents=True, exist_ok=True)
        survey.table.to_parquet(paths.survey / "scores.parquet", index=False)
        survey.highest.rows.to_parquet(paths.survey / "atlas.parquet", index=False)
        np.save(paths.survey / "atlas.npy", survey.highest.images)
        at = {"0.5": 0.0} | dict(points.thresholds)
        about = store.truth.set_index("index").loc[lenses["index"]]
        logits = lenses["logit"].to_numpy(float)
        result["selection_function"] = selection.completeness(about, logits, at)
        result["selection_map"] = selection.completeness_map(about, logits, threshold)
        drawn = {
            "atlas": atlas.draw(survey.highest),
            "selection": figures.selection(result["selection_function"]),
            "selection-map": figures.selection_map(result["selection_map"], "a survey's false-positive rate of 1e-3"),
            "scores": figures.tails_by_family(pd.concat([survey.table, lenses], ignore_index=True), at),
        }
        for name, figure in drawn.items():
            run.figure(figures.save(figure, paths.figures / "survey-test" / f"{name}.png"))
        write_json(paths.metrics("survey-test"), result)
        run.metrics({name: result[name] for name in ("n", "seconds", "images_per_second")})
        run.metrics(dict(metrics.values_of(result)))
    print(report(result))
