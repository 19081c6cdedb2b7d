"""`lensdream survey-peers`: compare the finder with the baseline networks on simulated survey targets."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from lensdream import config, tracking
from lensdream.commands.paths import Paths
from lensdream.commands.results import record, write_table
from lensdream.config import PopulationConfig, SimulateConfig, SurveyConfig
from lensdream.evaluate.survey import scored_lenses
from lensdream.evaluate.survey_baselines import OURS, compared, networks, streamed


def run(scale: str, root: Path = Path()) -> None:
    """Score the non-lenses with all networks of a scale; write `metrics/<scale>/survey-peers.json` and the logits."""
    settings = config.load("survey", SurveyConfig, scale, root / "params.yaml")
    population = config.load("population", PopulationConfig, scale, root / "params.yaml")
    simulate = config.load("simulate", SimulateConfig, scale, root / "params.yaml")
    paths = Paths(scale, root)
    lenses = scored_lenses(paths.scores / "test.parquet").rename(columns={"logit": f"logit_{OURS}"})
    with tracking.stage_run("survey-peers", scale, settings, root=root) as run:
        non_lenses = streamed(population, simulate, settings, paths.model)
        write_table(non_lenses, paths.scores / "survey-peers.parquet")
        result = {"n": len(non_lenses), "n_lens": len(lenses)} | compared(non_lenses, lenses, settings)
        record(run, paths, "survey-peers", result, {})
    print(pd.DataFrame({name: {key: v["value"] for key, v in result[name].items()} for name in networks(non_lenses)}))
