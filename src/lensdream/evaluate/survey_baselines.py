"""Finder and baselines on the same simulated non-lenses in a survey's proportions, in `survey-test`.

The test set fixes a threshold at a false-positive rate of 1e-3 by six images. There are as many non-lenses as time allows for
the slowest baseline: the first chunks of those that the survey test streams.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

from lensdream import metrics
from lensdream.config import PopulationConfig, SimulateConfig, SurveyConfig
from lensdream.dataset import target_mix
from lensdream.dataset.on_the_fly import ImageDrawer
from lensdream.evaluate import stream
from lensdream.evaluate.baselines import MISSED, baseline_folders
from lensdream.finder import operating_points
from lensdream.finder.finder import load_cascade
from lensdream.networks.model_file import load_model
from lensdream.networks.predict import predict
from lensdream.population import drawing
from lensdream.population.catalogs import Catalogs
from lensdream.population.drawing import Chunk
from lensdream.runtime.processes import worker_map

OURS = "lensnet"
RATES = {"1e-2": 1e-2, "1e-3": 1e-3}


def streamed(
    population: PopulationConfig, simulate: SimulateConfig, settings: SurveyConfig, model: Path
) -> pd.DataFrame:
    """Table of `settings.n_peers` simulated non-lenses: family, and `logit_<network>` of the finder and of every baseline."""
    tasks = target_mix.chunks(target_mix.counts(settings.n_peers, settings.non_lens_shares), stream.SPLIT, stream.EPOCH)
    arguments = (population, simulate, drawing.draw_all_catalogs(population), model, settings)
    with worker_map(0 if simulate.workers == 1 else simulate.workers, BaselinesScorer.start, arguments) as ordered:
        return pd.concat(
            tqdm(ordered(BaselinesScorer.score, tasks), total=len(tasks), leave=False, disable=None), ignore_index=True
        )


@dataclass(frozen=True)
class BaselinesScorer:
    """Scorer of chunks of a survey's non-lenses: draws, renders and scores one chunk at a time with every network."""

    drawer: ImageDrawer
    models: Mapping[str, nn.Module]
    """by name, the finder among them"""
    settings: SurveyConfig

    @classmethod
    def start(
        cls,
        population: PopulationConfig,
        simulate: SimulateConfig,
        catalogs: Catalogs,
        model: Path,
        settings: SurveyConfig,
    ) -> BaselinesScorer:
        """Make the scorer of this process, and set its torch to one thread."""
        drawer = ImageDrawer.start(population, simulate, catalogs)
        models: dict[str, nn.Module] = {OURS: load_cascade(model, target_mix.survey_shares(settings))}
        models |= {name: load_model(path) for name, path in baseline_folders(model).items()}
        models = {name: model.to(memory_format=torch.channels_last) for name, model in models.items()}
        return cls(drawer, models, settings)

    def score(self, chunk: Chunk) -> pd.DataFrame:
        """Draw and render a chunk, and score it with every network."""
        scenes = target_mix.draw(self.drawer.scene_drawer, chunk, self.settings.near_miss)
        images = torch.from_numpy(self.drawer.images(scenes))
        logits = {
            f"logit_{name}": predict(model, images, self.settings.batch_size).numpy()
            for name, model in self.models.items()
        }
        return pd.DataFrame({"family": scenes.scenes["family"].to_numpy()} | logits)


def compared(non_lenses: pd.DataFrame, lenses: pd.DataFrame, settings: SurveyConfig) -> dict[str, dict]:
    """Completeness of each network, and the lenses that it misses at 1e-3 relative to those that the finder misses.

    Both tables have a column `logit_<network>` for each. Every network has its own threshold; intervals are of lenses and
    non-lenses resampled, the same for both where two are compared. NaN at a rate below one in the number of non-lenses.
    """
    rates = operating_points.measurable(len(non_lenses), RATES)
    labels = np.repeat([0, 1], [len(non_lenses), len(lenses)])
    logits = {
        name: np.concatenate([part[f"logit_{name}"].to_numpy(float) for part in (non_lenses, lenses)])
        for name in networks(non_lenses)
    }

    def with_interval(measure: object, rate: str, values: np.ndarray) -> metrics.Interval:
        if rate not in rates:
            return metrics.UNKNOWN
        rng = np.random.default_rng(settings.seed)
        return metrics.bootstrap(lambda s, y: measure(s, y, RATES[rate]), values, labels, settings.bootstrap, rng)

    found = {
        name: {f"tpr_at_fpr_{rate}": with_interval(metrics.tpr_at_fpr, rate, values) for rate in RATES}
        for name, values in logits.items()
    }
    for name in found.keys() - {OURS}:
        both = np.stack([logits[name], logits[OURS]], 1)
        found[name][MISSED] = with_interval(metrics.missed_ratio, "1e-3", both)
    return found


def networks(table: pd.DataFrame) -> list[str]:
    """Names of the networks with logits in a table, the finder first."""
    return [name.removeprefix("logit_") for name in table.columns if name.startswith("logit_")]
