"""The survey-test stage from fresh scenes to metrics."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from matplotlib.image import imread

from conftest import SURVEY, SURVEY_POPULATION, SURVEY_SIMULATE
from lensdream.commands import survey_test as _survey_test_
from lensdream.commands.paths import Paths
from lensdream.commands.timings import timings_of
from lensdream.dataset import target_mix
from lensdream.dataset.write import write_store
from lensdream.evaluate import shortcuts
from lensdream.finder import operating_points
from lensdream.instrument import Band
from lensdream.networks.layout import SURVEY_POINTS
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.model_file import save_model
from lensdream.population import drawing


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Folder of a network that learned nothing."""
    torch.manual_seed(5)
    folder = tmp_path_factory.mktemp("model")
    save_model(folder, LensNet(LensNetConfig(4)), SURVEY_SIMULATE.stamp)
    return folder


def test_the_survey_test_stage_writes_metrics_points_and_atlas(few_catalogs, model, tmp_path, capsys):
    paths = Paths("tiny", tmp_path)
    scenes = drawing.draw_scenes(SURVEY_POPULATION, 1)
    scenes.save(paths.scenes)
    write_store(scenes, SURVEY_SIMULATE, paths.images)
    paths.model.mkdir(parents=True)
    for file in model.iterdir():
        (paths.model / file.name).write_bytes(file.read_bytes())
    blocks = {
        "population": SURVEY_POPULATION,
        "simulate": SURVEY_SIMULATE,
        "survey": dataclasses.replace(SURVEY, n=100, n_peers=100, pairs=5),
    }
    settings = {name: dataclasses.asdict(block) for name, block in blocks.items()} | {"scales": {"tiny": {}}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings))
    with pytest.raises(FileNotFoundError, match=r"no .*test\.parquet: run the evaluate stage first"):
        _survey_test_.run("tiny", tmp_path)
    test = scenes.scenes.query("split == 'test'")
    paths.scores.mkdir()
    scored = test[["index", "split", "family", "label"]].assign(logit=-9.0, survey_logit=test["label"] - 0.5)
    pd.concat([scored, scored.assign(split="validation")]).to_parquet(paths.scores / "test.parquet")
    _survey_test_.run("tiny", tmp_path)
    found = json.loads(paths.metrics("survey-test").read_text())
    assert not {"seconds", "images_per_second"} & set(found)
    assert timings_of("tiny", tmp_path)["survey-test"]["images_per_second"] > 0
    assert (found["n"], found["n_lens"], found["shortcuts"]["arcs_removed"]["n"]) == (100, 20, 5)
    assert {name: row["n"] for name, row in found["families"].items()} == target_mix.counts(100, SURVEY.non_lens_shares)
    points = operating_points.read(paths.model, SURVEY_POINTS)
    assert points.thresholds == {"fpr_1e-2": found["threshold_fpr_1e-2"]["value"]}  # of a hundred, no other can be told
    assert points.temperature == found["temperature"]
    assert points.shares is None
    assert found["purity"][0]["completeness"] == 1  # at 0.5, of the survey's logits
    assert sum(found["atlas"].values()) == 100
    assert set(found["shortcuts"]["bands"]) == set(shortcuts.CHANGES)
    scores = pd.read_parquet(paths.survey / "scores.parquet")
    kept = pd.read_parquet(paths.survey / "atlas.parquet")
    assert kept["logit"].tolist() == sorted(scores["logit"], reverse=True)
    assert np.load(paths.survey / "atlas.npy").shape == (100, len(Band), 40, 40)
    assert imread(paths.figures / "survey-test" / "atlas.jpg").shape[0] > 1000
    assert all(
        (paths.figures / "survey-test" / f"{name}.png").is_file() for name in ("scores", "selection", "selection-map")
    )
    assert sum(row["n"] for row in found["selection_map"]) == 20
    bin_of_lenses = found["selection_function"]["arc_snr"][0]
    assert set(bin_of_lenses) == {"low", "high", "n", "completeness_at_0.5", "completeness_at_fpr_1e-2"}
    purity, by_snr = (pd.read_csv(paths.plots / f"{name}.csv") for name in ("purity", "completeness-snr"))
    assert purity["completeness"].iloc[0] == 1  # lenses of 0.5, non-lenses of an untrained network
    assert by_snr["n"].sum() == 20
    told = capsys.readouterr().out
    for words in (
        "100 non-lenses in survey proportions",
        "threshold_fpr_1e-3",
        "arcs removed from 5 lenses",
        "bands shuffled",
    ):
        assert words in told
