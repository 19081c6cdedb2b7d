"""`lensdream survey-test`: measure the finder on newly simulated non-lenses in the proportions of a survey."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from torch import Tensor

from lensdream import config
from lensdream.commands.paths import Paths
from lensdream.commands.results import record, write_table
from lensdream.commands.timings import Clock, timed_run
from lensdream.config import PopulationConfig, SimulateConfig, SurveyConfig
from lensdream.dataset import target_mix
from lensdream.dataset.store import ImageStore
from lensdream.evaluate import atlas, curves, figures, selection, survey_baselines
from lensdream.evaluate.survey import calibration, measure, measured_shortcuts, report, scored_lenses, streamed
from lensdream.finder import operating_points
from lensdream.finder.finder import Finder, Scores
from lensdream.finder.operating_points import OperatingPoints
from lensdream.metrics import values_of
from lensdream.networks.layout import SURVEY_POINTS
from lensdream.runtime.files import write_json
from lensdream.scene import Scenes


def run(scale: str, root: Path = Path()) -> None:
    """Score the non-lenses; write `metrics/<scale>/survey-test.json`, logits, thresholds, atlas, figures and curves."""
    clock = Clock()
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
    with timed_run("survey-test", scale, settings, root=root, datasets=datasets, clock=clock) as run:
        with clock.counting(settings.n):
            survey = streamed(population, simulate, settings, paths.model)
        result: dict[str, object] = {"n": settings.n}
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
        tables = {
            "purity": curves.purity(logits, of_lenses, settings.prevalence),
            "completeness-snr": curves.completeness_by_snr(result["selection_function"]),
        }
        sheets = {"atlas": atlas.draw(survey.highest)}
        record(run, paths, "survey-test", result, drawn, curves=tables, sheets=sheets)
        run.metrics({"n": settings.n})
        networks = compared_networks(population, simulate, settings, paths)
        run.metrics({f"networks.{name}": value for name, value in values_of(networks)})
    print(f"rendered and scored {clock.images_per_second:.1f} images a second")
    print(report(result))


def compared_networks(
    population: PopulationConfig, simulate: SimulateConfig, settings: SurveyConfig, paths: Paths
) -> dict[str, object]:
    """Score the first non-lenses with the finder and every baseline; writes their logits and `survey-peers.json`."""
    lenses = scored_lenses(paths.scores / "test.parquet").rename(columns={"logit": f"logit_{survey_baselines.OURS}"})
    non_lenses = survey_baselines.streamed(population, simulate, settings, paths.model)
    write_table(non_lenses, paths.scores / "survey-peers.parquet")
    result = {"n": len(non_lenses), "n_lens": len(lenses)} | survey_baselines.compared(non_lenses, lenses, settings)
    write_json(paths.metrics("survey-peers"), result)
    return result
