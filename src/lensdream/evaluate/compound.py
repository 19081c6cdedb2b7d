"""Completeness of the finder on compound lenses kept out of its training, and on the same lenses with one source.

The measurements of `compound-test`; `compound_classifier` has those of the second score.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lensdream import metrics
from lensdream.config import CompoundConfig
from lensdream.dataset.store import ImageStore
from lensdream.evaluate.compound_classifier import CONTROL
from lensdream.families import COMPOUND, LENS, MATCHED_SINGLE
from lensdream.finder import operating_points
from lensdream.finder.finder import Finder
from lensdream.networks.predict import predict

MIXES = {"logit": "", "survey_logit": "survey_"}
"""columns of the finder's logits, and the prefix of the names of their thresholds"""
DRAWN_AT = "fpr_1e-2"
"""threshold of the finder, and of the classifier, whose misses are drawn and binned"""


def scored_non_lenses(test_scores: Path, survey_scores: Path) -> dict[str, np.ndarray]:
    """Logits (N,) of the non-lenses of the test set and of a survey, by their column in `MIXES`.

    Raises `FileNotFoundError` where a stage has not written its scores.
    """
    tables = {}
    for stage, path in (
        ("evaluate", test_scores),
        ("survey-test", survey_scores),
    ):
        if not path.is_file():
            raise FileNotFoundError(f"no {path}: run the {stage} stage first")
        tables[stage] = pd.read_parquet(path)
    test = tables["evaluate"].query("split == 'test' and label == 0")
    return {"logit": test["logit"].to_numpy(float), "survey_logit": tables["survey-test"]["logit"].to_numpy(float)}


def scored(store: ImageStore, finder: Finder, batch_size: int) -> pd.DataFrame:
    """Truth table of the compound split and the test split's single lenses, with logits of finder and classifier.

    Logits of the finder are in the columns of `MIXES`, of the compound classifier in `compound_logit`; `position` is the row
    in the store.
    """
    truth = store.truth
    single = (truth["split"] == "test") & (truth["family"] == LENS) & (truth["label"] == 1)
    chosen = np.flatnonzero((truth["split"] == "compound") | single)
    images = torch.from_numpy(store.images(chosen))
    found = finder.scores(images, batch_size=batch_size)
    logits = {"logit": found.training_mix_logit, "survey_logit": found.logit}
    logits["compound_logit"] = predict(finder.compound, images, batch_size).numpy()
    return truth.iloc[chosen].assign(position=chosen, **logits).reset_index(drop=True)


def measure(table: pd.DataFrame, non_lenses: Mapping[str, np.ndarray], settings: CompoundConfig) -> dict[str, dict]:
    """Completeness of each family, and of the matched single lenses of each, at each threshold.

    The group `matched_single` is that of the compound families, without the control's. `non_lenses` (N,) by their column in
    `MIXES` fix its thresholds, at the rates that at least one of them stands for; intervals hold their scatter.
    """
    rng = np.random.default_rng(settings.seed)
    at = {"0.5": ("logit", 0.0, np.zeros(settings.bootstrap))}
    for column, before in MIXES.items():
        rates = operating_points.measurable(len(non_lenses[column]))
        drawn = metrics.resampled_thresholds(non_lenses[column], rates, settings.bootstrap, rng)
        thresholds = operating_points.at_rates(non_lenses[column], rates)
        at |= {f"{before}fpr_{name}": (column, thresholds[f"fpr_{name}"], drawn[name]) for name in rates}
    family_of = table.set_index("index")["family"]
    partner = table["partner"].map(family_of)
    single = table["family"] == MATCHED_SINGLE
    groups = {name: table["family"] == name for name in (*COMPOUND, CONTROL)}
    groups[MATCHED_SINGLE] = single & partner.isin(COMPOUND)
    groups |= {f"matched_single_of_{name}": single & (partner == name) for name in (*COMPOUND, CONTROL)}
    result: dict[str, dict] = {}
    for name, inside in groups.items():
        some = table[inside]
        result[name] = {"n": len(some)} | {
            f"completeness_at_{key}": metrics.completeness(some[column].to_numpy(float), threshold, drawn, rng)
            for key, (column, threshold, drawn) in at.items()
        }
    return result


def report(result: dict[str, dict]) -> str:
    """Table of the result for the terminal."""
    groups = {name: row for name, row in result.items() if "n" in row}
    columns = [key for key in next(iter(groups.values())) if key != "n"]
    heads = "".join(f"{key.removeprefix('completeness_at_'):>17s}" for key in columns)
    lines = [f"  {'family':32s} {'n':>6s}{heads}"]
    for name, row in groups.items():
        lines.append(f"  {name:32s} {row['n']:6d}" + "".join(f"{row[key]['value']:17.4f}" for key in columns))
    return "\n".join(lines)
