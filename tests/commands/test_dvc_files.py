"""DVC's files of the scales: those in the repository, and those of scales of one's own."""

import copy

import pytest
import yaml

from conftest import ROOT
from lensdream.cli import main
from lensdream.commands import dvc_files
from lensdream.config import ConfigError, Models, models_of
from lensdream.train.recipes import RECIPES

DOCUMENT, PARAMS = (yaml.safe_load((ROOT / name).read_text()) for name in ("dvc.yaml", "params.yaml"))

MINE = "  mine:\n    networks:\n      lensnet: trained\n      compound_classifier: trained\n"


def with_scale(**block):
    params = copy.deepcopy(PARAMS)
    params["scales"]["mine"] = {"networks": {"lensnet": "trained", "compound_classifier": "trained"}} | block
    return params


def stages_of(scale, params=PARAMS):
    return dvc_files.pipeline_of(scale, DOCUMENT, params)["stages"]


def paths(outs):
    return [next(iter(out)) if isinstance(out, dict) else out for out in outs]


def test_the_files_in_the_repository_follow_from_dvc_yaml_and_params_yaml():
    assert dvc_files.problems(ROOT) == []
    assert dvc_files.pipeline_of("quick", DOCUMENT, PARAMS) == DOCUMENT


def test_every_setting_of_a_scale_is_a_dependency_of_a_stage_or_of_none_at_all():
    """What differs at a scale is followed wherever the block is."""
    for scale in PARAMS["scales"]:
        for stage in stages_of(scale).values():
            named = [name for name in stage.get("do", stage).get("params", []) if "item" not in name]
            for block in PARAMS["scales"][scale].keys() & set(named):
                assert f"scales.{scale}.{block}" in named


def test_a_third_scale_is_one_block_and_shares_no_file_with_the_others():
    mine = stages_of("mine", with_scale(lensnet={"fit": {"epochs": 1}}, evaluate={"bootstrap": 10}))
    assert "code" not in mine
    assert set(mine) == set(DOCUMENT["stages"]) - {"code"}
    assert "quick" not in yaml.safe_dump(mine)
    assert list(mine["train"]["foreach"]) == ["lensnet", "compound_classifier"]
    assert mine["train"]["foreach"]["compound_classifier"]["after"] == "models/mine/model.safetensors"
    assert mine["evaluate"]["params"][:2] == ["evaluate", "scales.mine.evaluate"]
    for name, stage in mine.items():
        body = stage.get("do", stage)
        assert body["wdir"] == "../.."
        assert all(out[path]["cache"] is False for out in body["outs"] for path in out), name
    assert "plots" not in dvc_files.pipeline_of("mine", DOCUMENT, with_scale())
    assert not set(paths(mine["population"]["outs"])) & set(paths(DOCUMENT["stages"]["population"]["outs"]))


def test_a_scale_with_all_networks_trains_each_after_those_it_needs_and_measures_them():
    mine = stages_of("mine", with_scale(networks=dict.fromkeys([*RECIPES, "class_prior"], "trained")))
    assert list(mine["train"]["foreach"]) == list(RECIPES)
    assert mine["train"]["foreach"]["second_stage"]["after"] == "models/mine/deep/model.safetensors"
    assert mine["class-prior"]["foreach"] == ["class_prior"]
    networks = {
        name: {dep for dep in mine[name]["deps"] if dep.startswith("models/") and "points" not in dep}
        for name in ("evaluate", "survey-test", "compound-test", "observe", "explain")
    }
    finder = {
        f"models/mine/{name}"
        for name in (
            "model.safetensors", "model.json", "second/model.safetensors", "second/model.json",
            "compound/model.safetensors", "compound/model.json", "kinds/kinds.safetensors",
        )
    }  # fmt: skip
    baseline = {"models/mine/peers/ou66/model.safetensors", "models/mine/peers/ou66/model.json"}
    assert networks["compound-test"] == networks["observe"] == finder
    assert networks["evaluate"] == networks["survey-test"] == finder | baseline
    assert networks["explain"] == {"models/mine/model.safetensors", "models/mine/model.json"}


def test_given_networks_are_inputs_and_are_not_trained():
    poster = stages_of("poster")
    trained = {out for item in poster["train"]["foreach"].values() for out in [item["model"]]}
    given = [RECIPES[name] for name in models_of(PARAMS["scales"]["poster"]).given if name in RECIPES]
    for recipe in given:
        assert f"models/poster/{recipe.folder}".rstrip("/") not in trained
        assert f"models/poster/{recipe.folder}/model.safetensors".replace("//", "/") in poster["evaluate"]["deps"]


@pytest.mark.parametrize(
    ("recipes", "given", "words"),
    [
        (("lensnet", "resnet"), (), "scales.mine: resnet: no such network; networks are lensnet, ou66"),
        (("lensnet",), (), "scales.mine: compound_classifier: missing; every scale needs it"),
        (("lensnet", "compound_classifier", "second_stage"), (), "second_stage: needs deep, which is neither"),
        (("lensnet", "compound_classifier", "class_prior"), (), "class_prior: needs second_stage, which is neither"),
    ],
)
def test_networks_that_cannot_be_are_refused(recipes, given, words):
    with pytest.raises(ConfigError, match=words):
        dvc_files.refuse_unsound("mine", Models(recipes, given))


def test_a_file_that_was_edited_or_is_missing_is_told_and_written_anew(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").write_text((ROOT / "dvc.yaml").read_text())
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text() + MINE)
    assert main(["params"]) == 1
    told = capsys.readouterr().out
    assert "scales/mine/dvc.yaml: not made from dvc.yaml and params.yaml; run `lensdream params --write`" in told
    assert main(["params", "--write"]) == 0
    assert (tmp_path / "scales" / "mine" / "dvc.yaml").is_file()
    quick = (tmp_path / "dvc.yaml").read_text()
    (tmp_path / "dvc.yaml").write_text(quick.replace("      - models/quick/compound/model.json\n", "", 1))
    assert main(["params", "--write"]) == 1
    assert "dvc.yaml: the stage evaluate should be" in capsys.readouterr().out
