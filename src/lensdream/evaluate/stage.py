"""The evaluate stage: the test set in one pass, every number of it with an interval."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lensdream import config, tracking
from lensdream.config import EvaluateConfig, SurveyConfig
from lensdream.dataset import ImageStore, targets
from lensdream.evaluate import figures, metrics, operating_points, peers, selection
from lensdream.evaluate.operating_points import OperatingPoints
from lensdream.files import write_json
from lensdream.networks import BothLogits, load_finder, predict
from lensdream.networks.model_file import images_trained_on
from lensdream.networks.second_looks import LOOKS
from lensdream.paths import Paths
from lensdream.scene import FAMILIES_NON_LENS, FAMILY_UNDETECTABLE


def run(scale: str, root: Path = Path()) -> None:
    """Score validation and test images; write `metrics/<scale>/evaluate.json`, operating points and figures.

    The table of scores has `survey_logit` too, which is for a survey's shares of non-lenses.

    The networks in `models/<scale>/peers` are measured too, each in a block under its name, and so is ours without second
    looks, or without its second network.
    """
    settings = config.load("evaluate", EvaluateConfig, scale, root / "params.yaml")
    survey = config.load("survey", SurveyConfig, scale, root / "params.yaml")
    paths = Paths(scale, root)
    finder = load_finder(paths.model, shares=targets.survey_shares(survey))
    rivals = peers.read_all(paths)
    store = ImageStore.open(paths.images)
    truth = store.truth
    with tracking.stage_run("evaluate", scale, settings, root=root, datasets={"images": paths.images}) as run:
        chosen = np.flatnonzero(truth["split"].isin(["validation", "test"]))
        images = torch.from_numpy(store.images(chosen))
        in_both = predict(BothLogits(finder), images, settings.batch_size).numpy()
        ours = peers.Scored(in_both[:, 0], peers.parameters(finder), images_trained_on(paths.model))
        others = {name: rival.score(images, settings.batch_size) for name, rival in rivals.items()}
        columns = {f"logit_{name}": other.logits for name, other in others.items()}
        columns["survey_logit"] = in_both[:, 1]
        table = truth.iloc[chosen].assign(logit=ours.logits, **columns).reset_index(drop=True)
        is_test = ((table["split"] == "test") & (table["label"] >= 0)).to_numpy()
        test = table[is_test]
        result = measured(table, ours, settings)
        temperature = result["temperature"]
        first = others[peers.ONE_LOOK].logits[is_test]
        ratios = peers.compared(others, ours, is_test, test["label"].to_numpy(), settings)
        result |= {name: measured(table, other, settings) | ratios[name] for name, other in others.items()}
        result["looked_at_again"] = float((first > finder.hopeless).mean())
        more = LOOKS if finder.second else LOOKS - 1  # alone, its first look is one of the eight
        result["looks_an_image"] = 1 + more * result["looked_at_again"]
        rates = operating_points.measurable(result["n_nonlens"])
        thresholds = {f"fpr_{rate}": result[f"threshold_fpr_{rate}"] for rate in rates}
        points = OperatingPoints(thresholds, temperature, gate=result[operating_points.GATE]["value"])
        operating_points.write(paths.model, points)
        undetectable = table[table["family"] == FAMILY_UNDETECTABLE]["logit"].to_numpy()
        result[FAMILY_UNDETECTABLE] = {
            "n": len(undetectable),
            "found_at_0.5": _share(undetectable > 0),
            "found_at_threshold_1e-3": (
                _share(undetectable > thresholds["fpr_1e-3"]) if "fpr_1e-3" in thresholds else None
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


def measured(table: pd.DataFrame, scored: peers.Scored, settings: EvaluateConfig) -> dict[str, object]:
    """The numbers of the test split of a table with columns split, family, label, calibrated on its validation split."""
    labelled = table.assign(logit=scored.logits).query("label >= 0")
    validation, test = (labelled[labelled["split"] == split] for split in ("validation", "test"))
    temperature = metrics.fit_temperature(validation["logit"].to_numpy(), validation["label"].to_numpy())
    about = {"parameters": scored.parameters, "images_trained_on": scored.images_trained_on}
    return measure(test, temperature, settings) | about


def measure(test: pd.DataFrame, temperature: float, settings: EvaluateConfig) -> dict[str, object]:
    """The numbers of a test table with columns family, label (0, 1), logit.

    Nothing is known at a false-positive rate that less than one of its non-lenses stands for, neither completeness nor purity
    (NaN), nor the families' shares (None); the threshold is the highest of them then.
    """
    logits, labels = test["logit"].to_numpy(float), test["label"].to_numpy()
    rng = np.random.default_rng(settings.seed)

    def with_interval(function: object, **kind: bool) -> dict[str, float]:
        return metrics.bootstrap(function, logits, labels, settings.bootstrap, rng, **kind)

    result: dict[str, object] = {
        "precision": with_interval(lambda s, y: metrics.precision(s > 0, y)),
        "recall": with_interval(lambda s, y: metrics.recall(s > 0, y)),
        "accuracy": with_interval(lambda s, y: float(((s > 0) == (y == 1)).mean())),
        "f1": with_interval(lambda s, y: metrics.f1(s > 0, y)),
        "auroc": with_interval(metrics.auroc),
    }
    rates = operating_points.measurable(int((labels == 0).sum()))
    for name, rate in operating_points.RATES.items():
        found = with_interval(lambda s, y, rate=rate: metrics.tpr_at_fpr(s, y, rate))
        result[f"tpr_at_fpr_{name}"] = found if name in rates else metrics.UNKNOWN
    result["tpr0"] = with_interval(lambda s, y: metrics.tpr_before_false_positives(s, y, 0))
    result["tpr10"] = with_interval(lambda s, y: metrics.tpr_before_false_positives(s, y, 9))
    purity = with_interval(
        lambda s, y: metrics.purity_at_prevalence(metrics.tpr_at_fpr(s, y, 1e-3), 1e-3, settings.prevalence)
    )
    result["purity_at_prevalence_1e-3"] = purity if "1e-3" in rates else metrics.UNKNOWN
    for name, divisor in (("ece", temperature), ("ece_before_calibration", 1.0)):
        result[name] = with_interval(
            lambda s, y, divisor=divisor: metrics.expected_calibration_error(metrics.probability(s, divisor), y),
            biased=True,
        )
    stated = metrics.probability(logits, temperature)
    result["ece_if_calibrated"] = metrics.error_if_calibrated(stated, settings.bootstrap, rng)
    result |= {"n_lens": int((labels == 1).sum()), "n_nonlens": int((labels == 0).sum()), "temperature": temperature}
    for name, rate in operating_points.RATES.items():
        result[f"threshold_fpr_{name}"] = metrics.threshold_at_fpr(logits[labels == 0], rate)
    family = test["family"].to_numpy()
    result["families"] = {
        name: {
            "n": int((family == name).sum()),
            "fpr_at_0.5": _share(logits[family == name] > 0),
            "fpr_at_threshold_1e-3": (
                _share(logits[family == name] > result["threshold_fpr_1e-3"]) if "1e-3" in rates else None
            ),
        }
        for name in FAMILIES_NON_LENS
    }
    return result


def report(result: dict[str, object]) -> str:
    """The table that the stage prints."""
    lines = [f"{result['n_lens']} lenses, {result['n_nonlens']} non-lenses"]
    for name, value in result.items():
        if isinstance(value, dict) and "value" in value:
            lines.append(f"  {name:28s} {value['value']:.4f}  [{value['low']:.4f}, {value['high']:.4f}]")
    lines.append(f"  {'family':12s} {'n':>6s} {'FPR at 0.5':>11s} {'at the 1e-3 threshold':>22s}")
    for name, row in result["families"].items():
        rates = [row["fpr_at_0.5"], row["fpr_at_threshold_1e-3"]]
        at_half, at_threshold = ("-" if rate is None else f"{rate:.4f}" for rate in rates)
        lines.append(f"  {name:12s} {row['n']:6d} {at_half:>11s} {at_threshold:>22s}")
    side_by_side = peers.table(result)
    if len(side_by_side) > 1:
        lines += ["", side_by_side.to_string(float_format="{:.4f}".format, na_rep="-")]
    return "\n".join(lines)


def _share(hits: np.ndarray) -> float | None:
    """Share of hits; None (null) of nothing."""
    return float(np.mean(hits)) if len(hits) else None
