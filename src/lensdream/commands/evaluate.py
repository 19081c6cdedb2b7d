"""`lensdream evaluate`: measure the finder and its baselines on the test set, and fix its thresholds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from lensdream import config, metrics, tracking
from lensdream.commands.paths import Paths
from lensdream.config import EvaluateConfig, SurveyConfig
from lensdream.dataset import target_mix
from lensdream.dataset.store import ImageStore
from lensdream.evaluate import baselines, figures, selection
from lensdream.evaluate.test_set import measured, report, share_of
from lensdream.families import UNDETECTABLE
from lensdream.finder import operating_points
from lensdream.finder.finder import Finder
from lensdream.finder.operating_points import OperatingPoints
from lensdream.networks.cascade import LOOKS
from lensdream.networks.layout import MERIT, images_trained_on
from lensdream.runtime.files import write_json


def run(scale: str, root: Path = Path()) -> None:
    """Score validation and test images; write `metrics/<scale>/evaluate.json`, operating points and figures.

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
    with tracking.stage_run("evaluate", scale, settings, root=root, datasets={"images": paths.images}) as run:
        chosen = np.flatnonzero(truth["split"].isin(["validation", "test"]))
        images = torch.from_numpy(store.images(chosen))
        scores = finder.scores(images, batch_size=settings.batch_size)
        n_weights = baselines.parameters(finder.cascade)
        ours = baselines.Scored(scores.training_mix_logit, n_weights, images_trained_on(paths.model))
        others = {name: network.score(images, settings.batch_size) for name, network in networks.items()}
        columns = {f"logit_{name}": other.logits for name, other in others.items()}
        columns["survey_logit"] = scores.logit
        table = truth.iloc[chosen].assign(logit=ours.logits, **columns).reset_index(drop=True)
        is_test = ((table["split"] == "test") & (table["label"] >= 0)).to_numpy()
        test = table[is_test]
        result = measured(table, ours, settings)
        temperature = result["temperature"]
        first = others[baselines.ONE_LOOK].logits[is_test]
        ratios = baselines.missed_ratios(others, ours, is_test, test["label"].to_numpy(), settings)
        result |= {name: measured(table, other, settings) | ratios[name] for name, other in others.items()}
        result["looked_at_again"] = float((first > finder.cascade.gate).mean())
        more = LOOKS if finder.cascade.second else LOOKS - 1  # alone, its first look is one of the eight
        result["looks_an_image"] = 1 + more * result["looked_at_again"]
        rates = operating_points.measurable(result["n_nonlens"])
        thresholds = {f"fpr_{rate}": result[f"threshold_fpr_{rate}"] for rate in rates}
        points = OperatingPoints(thresholds, temperature, merit=result[MERIT]["value"])
        operating_points.write(paths.model, points)
        undetectable = table[table["family"] == UNDETECTABLE]["logit"].to_numpy()
        result[UNDETECTABLE] = {
            "n": len(undetectable),
            "found_at_0.5": share_of(undetectable > 0),
            "found_at_threshold_1e-3": (
                share_of(undetectable > thresholds["fpr_1e-3"]) if "fpr_1e-3" in thresholds else None
            ),
        }
        lenses = test[test["label"] == 1]
        at = {"0.5": 0.0} | {name: thresholds[name] for name in ("fpr_1e-2", "fpr_1e-3") if name in thresholds}
        result["selection_function"] = selection.completeness(lenses, lenses["logit"].to_numpy(), at)
        paths.scores.mkdir(parents=True, exist_ok=True)
        table[["index", "split", "family", "label", "logit", *columns]].to_parquet(
            paths.scores / "test.parquet", index=False
        )
        drawn = {
            "roc": figures.roc(test["logit"].to_numpy(), test["label"].to_numpy()),
            "scores": figures.scores_by_family(
                table[table["split"] == "test"], table[table["split"] == "test"]["logit"].to_numpy(), at
            ),
            "selection": figures.selection(result["selection_function"]),
            "reliability": figures.reliability(test["logit"].to_numpy(), test["label"].to_numpy(), temperature),
        }
        for name, figure in drawn.items():
            run.figure(figures.save(figure, paths.figures / "evaluate" / f"{name}.png"))
        write_json(paths.metrics("evaluate"), result)
        run.metrics(dict(metrics.values_of(result)))
    print(report(result))
