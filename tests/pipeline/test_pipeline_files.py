"""The pipeline's files against the code: dvc.yaml, Makefile, README and the committed metrics."""

import json
import re
import subprocess

import pandas as pd
import pytest
import yaml

from conftest import ROOT
from dvc_stages import generated, lock, outs_of
from lensdream import config
from lensdream.cli import GROUPS, main
from lensdream.commands.code import code_of_stages
from lensdream.train.recipes import RECIPES

STAGES = next(group for title, group in GROUPS.items() if title.startswith("Stages"))
NAMES = [
    "population", "simulate", "train", "class-prior", "evaluate",
    "survey-test", "compound-test", "explain", "observe", "report",
]  # fmt: skip


def test_the_pipeline_has_ten_stages_and_the_digests_of_their_code():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    assert list(stages) == ["code", *NAMES]
    for name, stage in stages.items():
        command = stage.get("do", stage)["cmd"].split()
        assert command[:2] == ["lensdream", name]
        assert name in STAGES or name == "explain"


def test_no_stage_is_frozen_and_none_depends_on_a_source_folder():
    for file in (ROOT / "dvc.yaml", *(ROOT / "scales").glob("*/dvc.yaml")):
        for name, stage in yaml.safe_load(file.read_text())["stages"].items():
            body = stage.get("do", stage)
            assert "frozen" not in body, f"{file}: {name}"
            assert not [dep for dep in body.get("deps", []) if dep.startswith("src")], f"{file}: {name}"


@pytest.mark.parametrize("scale", ["quick", *(path.parent.name for path in ROOT.glob("scales/*/dvc.lock"))])
def test_the_lock_has_the_stages_of_the_pipeline_and_their_commands_and_no_others(scale):
    stages = generated(scale)
    assert set(lock(scale)) == set(stages)
    for name, locked in lock(scale).items():
        assert locked["cmd"] == stages[name]["cmd"]
        assert {out["path"] for out in locked["outs"]} == set(outs_of(stages[name]))


@pytest.mark.parametrize("recipe", [RECIPES[name] for name in config.models("quick", ROOT / "params.yaml").recipes])
def test_epochs_images_and_seed_of_a_trained_network_are_those_of_its_settings(recipe):
    settings = recipe.read_settings("quick", ROOT / "params.yaml")
    metrics = json.loads((ROOT / "metrics" / "quick" / f"{recipe.stage}.json").read_text())
    curves = pd.read_csv(ROOT / "metrics" / "quick" / f"{recipe.stage.replace('train', 'epochs')}.csv")
    model = json.loads((ROOT / "models" / "quick" / recipe.folder / "model.json").read_text())
    assert settings.fit.epochs == metrics["epochs"] == len(curves) == model["training"]["epochs"]
    assert settings.fit.seed == metrics["seed"] == model["training"]["seed"]
    assert metrics["best_epoch"] == model["training"]["best_epoch"]
    population = config.load("population", config.PopulationConfig, "quick", ROOT / "params.yaml")
    if recipe.stage == "train":
        assert population.train == metrics["images_an_epoch"] == model["images_trained_on"]
    else:
        assert metrics["images_an_epoch"] == 2 * metrics["compound_lenses"] + metrics["single_lenses_an_epoch"]
        assert model["images_trained_on"] >= metrics["images_an_epoch"]


def test_every_plot_has_its_file_and_columns():
    plots = yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
    outs = {out for stage in generated("quick").values() for out in outs_of(stage)}
    assert plots
    for name, plot in ((name, plot) for each in plots for name, plot in each.items()):
        for file, columns in plot["y"].items():
            assert file in outs, name
            assert {plot["x"], *([columns] if isinstance(columns, str) else columns)} <= set(
                pd.read_csv(ROOT / file)
            ), name


def test_the_digests_of_the_code_are_those_of_the_code():
    for stage, found in code_of_stages().items():
        written = json.loads((ROOT / "manifests" / "code" / f"{stage}.json").read_text())
        assert written == found, f"{stage}: run `lensdream code`, and commit manifests/code with the code"


def test_the_readmes_commands_exist():
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", readme, re.MULTILINE):
        assert re.search(rf"^(\w+ )*{target}( \w+)*:", makefile, re.MULTILINE), target
    for command in re.findall(r"lensdream (score|tune|register|report|run)", readme):
        with pytest.raises(SystemExit) as stopped:
            main([command, "--help"])
        assert stopped.value.code == 0


def test_make_observe_runs_two_stages_and_refuses_what_is_no_folder(tmp_path):
    def make(*arguments):
        return subprocess.run(["make", "-C", ROOT, *arguments], capture_output=True, text=True, check=False)

    told = make("-n", "observe", f"CUTOUTS={tmp_path}", "SCALE=poster")
    assert re.findall(r"dvc.yaml:(\w+)", told.stdout) == ["observe", "report"]
    assert make("folders", f"CUTOUTS={tmp_path}:{tmp_path}").returncode == 0
    told = make("folders", f"CUTOUTS={tmp_path}:{tmp_path}/gone")
    assert told.returncode == 2
    assert f"CUTOUTS: {tmp_path}/gone is no folder" in told.stderr


@pytest.mark.parametrize("scale", ["quick", "poster"])
def test_the_committed_metrics_are_whole(scale):
    evaluate = json.loads((ROOT / "metrics" / scale / "evaluate.json").read_text())
    assert all(row["n"] > 0 for row in evaluate["families"].values())
    assert sum(row["n"] for row in evaluate["families"].values()) == evaluate["n_nonlens"]
    compound = json.loads((ROOT / "metrics" / scale / "compound-test.json").read_text())
    assert {"compound_arc", "double_ring", "matched_single"} <= set(compound)
    for stage in ("population", "simulate", "train", "explain", "observe"):
        assert json.loads((ROOT / "metrics" / scale / f"{stage}.json").read_text())
