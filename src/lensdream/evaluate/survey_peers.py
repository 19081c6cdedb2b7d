"""The survey-peers stage: our finder and its peers on the same fresh non-lenses in a survey's proportions.

The test mix fixes a threshold at a false-positive rate of 1e-3 by six images. Here there are as many as time allows the slowest
peer to look at: the first lots of those that the survey test streams.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

from lensdream import config, tracking
from lensdream.config import PopulationConfig, SimulateConfig, SurveyConfig
from lensdream.dataset import fresh, targets
from lensdream.evaluate import metrics, operating_points, stream
from lensdream.evaluate.peers import MISSED
from lensdream.evaluate.survey_test import scored_lenses
from lensdream.files import write_json
from lensdream.networks import load_finder, load_model, predict
from lensdream.networks.model_file import is_model
from lensdream.paths import Paths
from lensdream.population import stage
from lensdream.population.galaxies import Pools
from lensdream.population.stage import Lot
from lensdream.processes import worker_map

OURS = "lensnet"
RATES = {"1e-2": 1e-2, "1e-3": 1e-3}
_worker: dict[str, object] = {}


def run(scale: str, root: Path = Path()) -> None:
    """Stream the non-lenses through all networks of a scale; write `metrics/<scale>/survey-peers.json` and the logits."""
    settings = config.load("survey", SurveyConfig, scale, root / "params.yaml")
    population = config.load("population", PopulationConfig, scale, root / "params.yaml")
    simulate = config.load("simulate", SimulateConfig, scale, root / "params.yaml")
    paths = Paths(scale, root)
    lenses = scored_lenses(paths.scores / "test.parquet").rename(columns={"logit": f"logit_{OURS}"})
    with tracking.stage_run("survey-peers", scale, settings, root=root) as run:
        non_lenses = streamed(population, simulate, settings, paths)
        non_lenses.to_parquet(paths.scores / "survey-peers.parquet", index=False)
        result = {"n": len(non_lenses), "n_lens": len(lenses)} | compared(non_lenses, lenses, settings)
        write_json(paths.metrics("survey-peers"), result)
        run.metrics(
            {f"{name}.{key}": value["value"] for name in networks(non_lenses) for key, value in result[name].items()}
        )
    print(pd.DataFrame({name: {key: v["value"] for key, v in result[name].items()} for name in networks(non_lenses)}))


def streamed(
    population: PopulationConfig, simulate: SimulateConfig, settings: SurveyConfig, paths: Paths
) -> pd.DataFrame:
    """Families of `settings.n_peers` fresh non-lenses, and `logit_<network>` of ours and of every peer."""
    tasks = targets.lots(targets.counts(settings.n_peers, settings.non_lens_shares), stream.SPLIT, stream.EPOCH)
    arguments = (population, simulate, stage.draw_all_pools(population), paths, settings)
    with worker_map(0 if simulate.workers == 1 else simulate.workers, start_worker, arguments) as ordered:
        return pd.concat(tqdm(ordered(score_lot, tasks), total=len(tasks), leave=False), ignore_index=True)


def start_worker(
    population: PopulationConfig, simulate: SimulateConfig, pools: Pools, paths: Paths, settings: SurveyConfig
) -> None:
    """Prepare this process for `score_lot`."""
    fresh.start_worker(population, simulate, pools)
    torch.set_num_threads(1)
    models: dict[str, nn.Module] = {OURS: load_finder(paths.model, shares=targets.survey_shares(settings))}
    models |= {path.name: load_model(path) for path in sorted(paths.peers.glob("*")) if is_model(path)}
    models = {name: model.to(memory_format=torch.channels_last) for name, model in models.items()}
    _worker.update(models=models, settings=settings)


def score_lot(lot: Lot) -> pd.DataFrame:
    """Draw and render a lot, and score it with every network."""
    settings: SurveyConfig = _worker["settings"]
    scenes = targets.draw(lot, settings.beside_caustic)
    images = torch.from_numpy(fresh.images_of(scenes))
    logits = {
        f"logit_{name}": predict(model, images, settings.batch_size).numpy()
        for name, model in _worker["models"].items()
    }
    return pd.DataFrame({"family": scenes.scenes["family"].to_numpy()} | logits)


def compared(non_lenses: pd.DataFrame, lenses: pd.DataFrame, settings: SurveyConfig) -> dict[str, dict]:
    """For each network what share of the lenses it finds, and how many times ours it misses at 1e-3.

    Both tables have `logit_<network>` of each. Every network has its own threshold; intervals are of lenses and non-lenses
    resampled, the same for both where two are compared. NaN at a rate that less than one non-lens stands for.
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
    """The networks that a table has logits of, ours first."""
    return [name.removeprefix("logit_") for name in table.columns if name.startswith("logit_")]
