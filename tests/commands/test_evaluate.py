"""The evaluate stage, on a few images of a network that has learned nothing."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from conftest import SURVEY, write_images
from lensdream.commands import evaluate
from lensdream.commands.paths import Paths
from lensdream.commands.timings import timings_of
from lensdream.config import EvaluateConfig
from lensdream.evaluate.curves import FEWEST
from lensdream.families import FAMILIES_NON_LENS
from lensdream.instrument import EUCLID, Band
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.model_file import save_model

STAMP, N = 32, 12


def test_the_stage_writes_metrics_curves_and_its_time(tmp_path, capsys):
    paths, rng = Paths("tiny", tmp_path), np.random.default_rng(3)
    family = np.tile(
        np.repeat(["lens", *FAMILIES_NON_LENS], [N * len(FAMILIES_NON_LENS), *[N] * len(FAMILIES_NON_LENS)]), 2
    )
    truth = pd.DataFrame({"index": np.arange(len(family)), "family": family, "label": (family == "lens").astype(int)})
    truth["split"] = np.repeat(["validation", "test"], len(truth) // 2)
    truth = truth.assign(theta_E_1=0.8, arc_snr_1=30.0, flux_source_1_VIS=1.0, flux_target_VIS=9.0)
    images = rng.normal(size=(len(truth), len(Band), STAMP, STAMP)) * np.array(EUCLID.sky_sigma)[:, None, None]
    write_images(paths.images, truth, images)
    torch.manual_seed(4)
    save_model(paths.model, LensNet(LensNetConfig(4)), STAMP)
    blocks = {"evaluate": EvaluateConfig(bootstrap=10, seed=0, prevalence=1e-3, batch_size=64), "survey": SURVEY}
    settings = {name: dataclasses.asdict(block) for name, block in blocks.items()} | {"scales": {"tiny": {}}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings))
    evaluate.run("tiny", tmp_path)
    measured = json.loads(paths.metrics("evaluate").read_text())
    roc, reliability = (pd.read_csv(paths.plots / f"{name}.csv") for name in ("roc", "reliability"))
    at_1e_2 = roc[roc["fpr"] <= 1e-2]["tpr"].max()
    assert at_1e_2 == pytest.approx(measured["tpr_at_fpr_1e-2"]["value"], abs=1e-5)
    assert 0.5 * len(truth) - 14 * (FEWEST - 1) <= reliability["n"].sum() <= 0.5 * len(truth)
    assert timings_of("tiny", tmp_path)["evaluate"]["seconds"] > 0
    assert {file.stem for file in (paths.figures / "evaluate").iterdir()} == {
        "roc",
        "scores",
        "selection",
        "reliability",
    }
    assert "AUROC" in capsys.readouterr().out
