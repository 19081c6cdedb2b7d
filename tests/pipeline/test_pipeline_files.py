"""The pipeline's files against the code: dvc.yaml, Makefile, README and the committed metrics."""

import json
import re
import subprocess

import pytest
import yaml

from conftest import ROOT
from lensdream.cli import GROUPS, main
from lensdream.train.recipes import RECIPES

STAGES = [*next(group for title, group in GROUPS.items() if title.startswith("Stages")), "explain"]


def test_every_live_stage_of_the_pipeline_is_a_command_and_all_but_the_trainings_have_both_scales():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    peers = stages.pop("train-peer")
    assert {item["network"] for item in peers["foreach"].values()} == set(RECIPES) - {"lensnet"}
    for name, item in peers["foreach"].items():
        recipe = RECIPES[item["network"]]
        assert name == f"{item['scale']}-{item['network']}"
        assert item["network"] == recipe.block
        assert recipe.folder == item["folder"] == f"peers/{item['network']}"
        assert recipe.read_settings(item["scale"], ROOT / "params.yaml")
    frozen = {name: stages.pop(name) for name, stage in list(stages.items()) if stage.get("do", {}).get("frozen")}
    # the quick scale looks again with its one network; what it has besides has another name where it is frozen
    assert set(frozen) == {"train-frozen", "train-compound-frozen", "train-deep", "train-second", "train-kinds"}
    assert all(stage["foreach"] == ["poster"] for stage in frozen.values())
    known = {name if name != "compound" else "compound-test" for name in STAGES}
    assert set(stages) == known - {"train-deep", "train-second", "train-kinds"}
    for name, stage in stages.items():
        trains = name in ("train", "train-compound")
        assert stage["matrix"]["scale"] == (["quick"] if trains else ["quick", "poster"])
        assert re.fullmatch(r"lensdream ([\w-]+) --scale \$\{item.scale\}", stage["cmd"]).group(1) in STAGES


def test_the_readmes_commands_exist():
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", readme, re.MULTILINE):
        assert re.search(rf"^(\w+ )*{target}( \w+)*:", makefile, re.MULTILINE), target
    for command in re.findall(r"lensdream (score|tune|register|report)", readme):
        with pytest.raises(SystemExit) as stopped:
            main([command, "--help"])
        assert stopped.value.code == 0


def test_make_observe_runs_two_stages_and_refuses_what_is_no_folder(tmp_path):
    def make(*arguments):
        return subprocess.run(["make", "-C", ROOT, *arguments], capture_output=True, text=True, check=False)

    told = make("-n", "observe", f"CUTOUTS={tmp_path}", "SCALE=poster")
    assert re.findall(r"\w+@poster", told.stdout) == ["observe@poster", "report@poster"]
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
