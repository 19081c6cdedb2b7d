"""`lensdream evaluate`: measure the finder and its baselines on the test set, and fix its thresholds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from lensdream import config
from lensdream.commands.paths import Paths
from lensdream.commands.results import record, write_table
from lensdream.commands.timings import timed_run
from lensdream.config import EvaluateConfig, SurveyConfig
from lensdream.dataset import target_mix
from lensdream.dataset.store import ImageStore
from lensdream.evaluate import baselines, curves, figures, selection
from lensdream.evaluate.test_set import measured, report, undetectable
from lensdream.families import UNDETECTABLE
from lensdream.finder import operating_points
from lensdream.finder.finder import Finder
from lensdream.finder.operating_points import OperatingPoints
from lensdream.metrics import probability
from lensdream.networks.cascade import N_ORIENTATIONS
from lensdream.networks.layout import MERIT, images_trained_on


def run(scale: str, root: Path = Path()) -> None:
    """Score validation and test images; write `metrics/<scale>/evaluate.json`, operating points, figures and curves.

    The table of scores has the column `survey_logit`, for the class proportions of a survey. The stages of the finder and the
    baselines in `models/<scale>/peers` are measured, too, each in a block under its name.
    """
    settings = config.load("evaluate", EvaluateConfig, scale, root / "params.yaml")
    survey = config.load("survey", SurveyConfig, scale, root / "params.yaml")
    paths = Paths(scale, root)
    finder = Finder.unmeasured(paths.model, target_mix.survey_shares(survey))
    networks = baselines.read_all(paths.model)
    store = ImageStore.open(paths.images)
    truth = store.truth
    with timed_run("evaluate", scale, settings, root=root, datasets={"images": paths.images}) as run:
        chosen = np.flatnonzero(truth["split"].isin(["validation", "test"]))
        images = torch.from_numpy(store.images(chosen))
        scores = finder.scores(images, batch_size=settings.batch_size)
        n_weights = baselines.parameters(finder.cascade)
        ours = baselines.Scored(scores.training_mix_logit, n_weights, images_trained_on(paths.model))
        others = {name: network.score(images, settings.batch_size) for name, network in networks.items()}
        columns = {f"logit_{name}": other.logits for name, other in others.items()} | {"survey_logit": scores.logit}
        table = truth.iloc[chosen].assign(logit=ours.logits, **columns).reset_index(drop=True)
        is_test = ((table["split"] == "test") & (table["label"] >= 0)).to_numpy()
        test = table[is_test]
        logits, labels = test["logit"].to_numpy(), test["label"].to_numpy()
        result = measured(table, ours, settings)
        ratios = baselines.missed_ratios(others, ours, is_test, labels, settings)
        result |= {name: measured(table, other, settings) | ratios[name] for name, other in others.items()}
        result["looked_at_again"] = float((others[baselines.ONE_LOOK].logits[is_test] > finder.cascade.gate).mean())
        more = N_ORIENTATIONS if finder.cascade.second else N_ORIENTATIONS - 1  # a lone first stage scored one before
        result["looks_an_image"] = 1 + more * result["looked_at_again"]
        rates = operating_points.measurable(result["n_nonlens"])
        thresholds = {f"fpr_{rate}": result[f"threshold_fpr_{rate}"] for rate in rates}
        points = OperatingPoints(thresholds, result["temperature"], merit=result[MERIT]["value"])
        operating_points.write(paths.model, points)
        result[UNDETECTABLE] = undetectable(table, thresholds)
        at = {"0.5": 0.0} | {name: thresholds[name] for name in ("fpr_1e-2", "fpr_1e-3") if name in thresholds}
        result["selection_function"] = selection.completeness(test[labels == 1], logits[labels == 1], at)
        write_table(table[["index", "split", "family", "label", "logit", *columns]], paths.scores / "test.parquet")
        all_tested = table[table["split"] == "test"]
        drawn = {
            "roc": figures.roc(logits, labels),
            "scores": figures.scores_by_family(all_tested, all_tested["logit"].to_numpy(), at),
            "selection": figures.selection(result["selection_function"]),
            "reliability": figures.reliability(logits, labels, points.temperature),
        }
        tables = {
            "roc": curves.roc(logits, labels),
            "reliability": curves.reliability(probability(logits, points.temperature), labels),
        }
        record(run, paths, "evaluate", result, drawn, curves=tables)
    print(report(result))
