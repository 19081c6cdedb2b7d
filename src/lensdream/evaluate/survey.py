"""Measurements of `survey-test`: rates, purity and calibration in a survey's class proportions, and shortcuts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from lensdream import metrics
from lensdream.config import PopulationConfig, SimulateConfig, SurveyConfig
from lensdream.dataset import target_mix
from lensdream.dataset.store import ImageStore
from lensdream.evaluate import selection, shortcuts, stream
from lensdream.families import FAMILIES_NON_LENS
from lensdream.finder import operating_points
from lensdream.finder.finder import Scores
from lensdream.finder.operating_points import RATES
from lensdream.render.batch import in_chunks, renderer_of, stored
from lensdream.scene import SOURCES, Scenes

TABLED = {f"{rate:g}": rate for rate in (3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4)}
"""false-positive rates whose thresholds are rows of the table of purity"""


def scored_lenses(path: Path, split: str = "test") -> pd.DataFrame:
    """Lenses of a split in the scores of `evaluate`, with `logit` for a survey's class proportions.

    Raises `FileNotFoundError` where the scores are missing.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no {path}: run the evaluate stage first")
    lenses = pd.read_parquet(path).query("split == @split and label == 1").reset_index(drop=True)
    return lenses.assign(logit=lenses["survey_logit"])


def streamed(
    population: PopulationConfig, simulate: SimulateConfig, settings: SurveyConfig, model: Path
) -> stream.Scored:
    """Score `settings.n` newly simulated non-lenses with the model in a folder."""
    tasks = target_mix.chunks(target_mix.counts(settings.n, settings.non_lens_shares), stream.SPLIT, stream.EPOCH)
    workers = 0 if simulate.workers == 1 else simulate.workers
    with stream.scoring(population, simulate, model, settings, workers) as score_all:
        parts = tqdm(score_all(tasks), total=len(tasks), desc="chunks of non-lenses", leave=False, disable=None)
        return stream.joined(parts, settings.atlas)


def measure(survey: pd.DataFrame, lenses: np.ndarray, settings: SurveyConfig) -> dict[str, object]:
    """Measure streamed non-lenses (family, logit) and the logits (N,) of the test set's lenses.

    False-positive rates have Wilson's interval; intervals of completeness are from resampling lenses and non-lenses each, and
    include the scatter of the threshold. At rates below one in the number of non-lenses completeness is NaN, and the shares
    of the families are None.
    """
    logits, family = survey["logit"].to_numpy(float), survey["family"].to_numpy()
    everything = np.concatenate([logits, lenses])
    labels = np.concatenate([np.zeros(len(logits), int), np.ones(len(lenses), int)])
    result: dict[str, object] = {"n_lens": len(lenses)}
    result |= {f"threshold_fpr_{name}": metrics.threshold_interval(logits, rate) for name, rate in RATES.items()}
    result["fpr_at_0.5"] = metrics.rare_share(logits > 0)
    rates = operating_points.measurable(len(logits))
    for name, rate in RATES.items():
        found = metrics.bootstrap(
            lambda s, y, rate=rate: metrics.tpr_at_fpr(s, y, rate),
            everything, labels, settings.bootstrap, np.random.default_rng(settings.seed),
        )  # fmt: skip
        result[f"tpr_at_fpr_{name}"] = found if name in rates else metrics.UNKNOWN
    result["prevalence"] = settings.prevalence
    result["purity"] = purity_table(logits, lenses, settings.prevalence)
    at = {"0.5": 0.0} | {f"threshold_{name}": result[f"threshold_fpr_{name}"]["value"] for name in rates}
    result["families"] = {
        name: {"n": int(inside.sum())}
        | {
            f"fpr_at_{key}": float((logits[inside] > at[key]).mean()) if inside.any() and key in at else None
            for key in ("0.5", "threshold_1e-3", "threshold_1e-4")
        }
        for name, inside in ((name, family == name) for name in FAMILIES_NON_LENS)
    }
    return result


def calibration(
    non_lenses: np.ndarray, fitted_on: np.ndarray, lenses: np.ndarray, settings: SurveyConfig
) -> dict[str, object]:
    """Calibration, `temperature` and `ece`, for as many lenses as non-lenses of a survey, from their logits (N,).

    The temperature is fitted on the streamed non-lenses and the lenses `fitted_on`, of the validation split, the error
    measured on the same non-lenses and the test set's lenses; both classes count the same.
    """

    def pooled(found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.concatenate([non_lenses, found]), np.repeat([0, 1], [len(non_lenses), len(found)])

    logits, labels = pooled(fitted_on)
    temperature = metrics.fit_temperature(logits, labels, metrics.equal_classes(labels))

    def error(s: np.ndarray, y: np.ndarray) -> float:
        stated = metrics.probability(s, temperature)
        return metrics.expected_calibration_error(stated, y, metrics.equal_classes(y))

    rng = np.random.default_rng(settings.seed)
    return {
        "temperature": temperature,
        "ece": metrics.bootstrap(error, *pooled(lenses), settings.bootstrap, rng, biased=True),
    }


def purity_table(non_lenses: np.ndarray, lenses: np.ndarray, prevalence: float) -> list[dict[str, float]]:
    """Completeness and purity, in a survey of this share of lenses, at a score of 0.5 and at rising thresholds.

    Purity's bounds are those of the false-positive rate (Wilson); rates that fewer than one non-lens stands for are left out.
    """
    measurable = operating_points.measurable(len(non_lenses), TABLED)
    rows = []
    for threshold in (0.0, *operating_points.at_rates(non_lenses, measurable).values()):
        fpr, tpr = metrics.rare_share(non_lenses > threshold), float((lenses > threshold).mean())
        purity = {
            key: metrics.purity_at_prevalence(tpr, fpr[bound], prevalence)
            for key, bound in (("value", "value"), ("low", "high"), ("high", "low"))
        }
        rows.append({"logit": float(threshold), "fpr": fpr["value"], "completeness": tpr, "purity": purity})
    return rows


def measured_shortcuts(
    score: Callable[[Tensor], Scores],
    scenes: Scenes,
    store: ImageStore,
    lenses: pd.DataFrame,
    simulate: SimulateConfig,
    settings: SurveyConfig,
    threshold: float,
) -> dict[str, dict]:
    """Measure the shortcuts of `shortcuts` on the test set.

    lenses: its scored lenses; threshold: the survey's at a false-positive rate of 1e-3. Checks of lenses have logits for a
    survey's class proportions, those of lenses and non-lenses the ones for the proportions of training and test set.
    """
    about = selection.lens_properties(store.truth.set_index("index").loc[lenses["index"]])
    pairs, renderer = shortcuts.lenses_of(scenes, settings.pairs), renderer_of(simulate)
    logits = [
        np.concatenate(
            [score(torch.from_numpy(stored(part))).logit for part in in_chunks(renderer, some, simulate.chunk)] or [[]]
        )
        for some in (pairs, pairs.without(SOURCES))
    ]
    labelled = np.flatnonzero((store.truth["split"] == "test") & (store.truth["label"] >= 0))
    chosen = shortcuts.evenly_spaced(labelled, settings.images)
    return {
        "deflector_magnitude": shortcuts.magnitude_dependence(
            about["arc_snr"].to_numpy(), about["magnitude_lens_VIS"].to_numpy(), lenses["logit"].to_numpy(float)
        ),
        "arcs_removed": shortcuts.arcs_removed(*logits, {"0.5": 0.0, "survey_1e-3": threshold}),
        "bands": shortcuts.changed_bands(
            lambda images: score(images).training_mix_logit,
            torch.from_numpy(store.images(chosen)),
            store.truth["label"].to_numpy()[chosen],
            settings.bootstrap,
            settings.seed,
        ),
    }


def report(result: Mapping[str, object]) -> str:
    """Table of the result for the terminal."""
    lines = [f"{result['n']} non-lenses in survey proportions; {result['n_lens']} test lenses"]
    for name, value in result.items():
        if isinstance(value, Mapping) and "value" in value:
            lines.append(f"  {name:28s} {value['value']:9.5f}  [{value['low']:.5f}, {value['high']:.5f}]")
    lines.append(
        f"  {'logit':>8s} {'FPR':>9s} {'completeness':>13s} {'purity':>8s}   (prevalence {result['prevalence']:g})"
    )
    lines += [
        f"  {row['logit']:8.3f} {row['fpr']:9.5f} {row['completeness']:13.4f} {row['purity']['value']:8.4f}"
        for row in result["purity"]
    ]
    lines.append(
        f"  {'family':12s} {'n':>7s} {'FPR at 0.5':>11s} {'at 1e-3':>9s} {'at 1e-4':>9s} {'in the atlas':>13s}"
    )
    for name, row in result["families"].items():
        rates = ["-" if row[key] is None else f"{row[key]:.5f}" for key in row if key.startswith("fpr_at")]
        at_half, at_3, at_4 = rates
        lines.append(
            f"  {name:12s} {row['n']:7d} {at_half:>11s} {at_3:>9s} {at_4:>9s} {result['atlas'].get(name, 0):13d}"
        )
    return "\n".join([*lines, shortcuts.report(result["shortcuts"])])
