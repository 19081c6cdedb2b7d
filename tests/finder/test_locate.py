"""Which model is taken: a folder, a registered one, the best of `models/`, the packaged one; and what is said where none is."""

import os
import shutil
import subprocess
import sys

import pytest
import torch

from lensdream import tracking
from lensdream.finder import locate, operating_points
from lensdream.finder.locate import ModelError, find_model
from lensdream.finder.operating_points import OperatingPoints
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.model_file import save_model


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    torch.manual_seed(0)
    save_model(folder, LensNet(LensNetConfig(4)), 32)
    return folder


@pytest.fixture(autouse=True)
def _nothing_packaged(tmp_path, monkeypatch):
    monkeypatch.setattr(locate, "PACKAGED", tmp_path / "no package")


def test_a_folder_is_a_model_by_its_own_name(trained, tmp_path):
    assert find_model(trained, tmp_path) == find_model(str(trained), tmp_path) == (trained, str(trained))


def test_a_folder_without_a_model_names_what_it_lacks(trained, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"has no model.safetensors and no model.json: run the train stage first"):
        find_model(tmp_path / "empty", tmp_path)
    shutil.copy(trained / "model.json", tmp_path / "empty")
    with pytest.raises(ModelError, match=r"has no model.safetensors: run"):
        find_model(tmp_path / "empty", tmp_path)


def test_of_the_trained_models_the_most_complete_is_taken_else_the_newest(trained, tmp_path):
    for age, name in enumerate(("newest", "complete", "worse")):
        shutil.copytree(trained, tmp_path / "models" / name)
        os.utime(tmp_path / "models" / name / "model.safetensors", (1e9 - age, 1e9 - age))
    (tmp_path / "models" / "unfinished").mkdir()
    (tmp_path / "models" / "unfinished" / "model.safetensors").touch()
    assert find_model(root=tmp_path) == (tmp_path / "models" / "newest", "models/newest")
    for name, merit in (("complete", 0.9), ("worse", 0.3)):
        operating_points.write(tmp_path / "models" / name, OperatingPoints(merit=merit))
    (tmp_path / "models" / "newest" / "operating_points.json").write_text("not json")
    assert find_model(root=tmp_path)[1] == "models/complete"


def test_the_champion_comes_before_what_was_trained(trained, tmp_path, monkeypatch):
    shutil.copytree(trained, tmp_path / "models" / "quick")
    (tmp_path / ".dvc").mkdir()
    assert find_model(root=tmp_path)[1] == "models/quick"
    monkeypatch.setattr(tracking, "has_champion", lambda root: True)
    monkeypatch.setattr(tracking, "pull", lambda name, root: {"champion": trained, "3": tmp_path}[name])
    assert find_model(root=tmp_path) == (trained, "champion")
    assert find_model("3", tmp_path) == (tmp_path, "3")


def test_the_packaged_model_is_taken_where_there_is_no_other(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(locate, "PACKAGED", trained)
    assert find_model(root=tmp_path) == (trained, "packaged")
    shutil.copytree(trained, tmp_path / "models" / "quick")
    assert find_model(root=tmp_path)[1] == "models/quick"


def test_without_any_model_the_remedy_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"no model: .* run `dvc repro`, or name a folder"):
        find_model(root=tmp_path)
    with pytest.raises(ModelError, match=r"no model 'nosuch': no such folder, and no registry in .*; name a folder"):
        find_model("nosuch", tmp_path)


def test_a_model_that_is_not_registered_is_refused_with_the_remedy(tmp_path):
    (tmp_path / ".dvc").mkdir()
    with pytest.raises(
        ModelError, match=r"'nosuch'.*run `lensdream register`; or name a folder with model.safetensors"
    ):
        find_model("nosuch", tmp_path)


@pytest.mark.parametrize("command", [["score", "x", "--out", "a.csv"], ["explain", "x"]])
def test_a_command_refuses_a_model_that_is_not_there_before_torch_is_imported(command, tmp_path):
    code = (
        "import sys; from lensdream.cli import main; code = main(sys.argv[1:]); "
        "print(code, sorted({'torch', 'mlflow', 'scipy'} & set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, *command, "--model", "nosuch"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ended.stdout == "2 []\n"
    assert "no model 'nosuch': no such folder, and no registry in" in ended.stderr
    assert "run `lensdream register`" in ended.stderr
    assert not list(tmp_path.iterdir())
