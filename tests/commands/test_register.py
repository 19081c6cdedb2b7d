"""`lensdream register`: which of the evaluated models becomes champion."""

import os
import shutil

import pytest

from conftest import ROOT
from lensdream import tracking
from lensdream.commands import register
from lensdream.finder import operating_points
from lensdream.finder.operating_points import OperatingPoints, PointsError
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.model_file import save_model


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """An empty folder with our params.yaml, as the working directory."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def evaluated(root, scale, gate, seed):
    import torch

    torch.manual_seed(seed)
    folder = root / "models" / scale
    save_model(folder, LensNet(LensNetConfig(8, 0.1)), 80)
    operating_points.write(folder, OperatingPoints({"fpr_1e-2": 1.0, "fpr_1e-3": 2.0}, merit=gate))


@pytest.mark.slow
def test_the_champion_gives_way_only_to_a_better_model(repository, capsys):
    evaluated(repository, "quick", 0.80, 1)
    register.run("quick", repository)
    assert "champion" in capsys.readouterr().out
    evaluated(repository, "poster", 0.70, 2)
    register.run("poster", repository)
    assert "champion" not in capsys.readouterr().out
    evaluated(repository, "poster", 0.90, 3)
    register.run("poster", repository)
    assert "champion" in capsys.readouterr().out
    (repository / "models" / "poster" / "operating_points.json").unlink()
    with pytest.raises(FileNotFoundError, match="run the evaluate stage"):
        register.run("poster", repository)


@pytest.mark.slow
def test_all_evaluated_models_are_registered_and_the_best_is_champion(repository, capsys):
    with pytest.raises(FileNotFoundError, match="no model in .* was evaluated: run"):
        register.run(root=repository)
    for age, (scale, gate) in enumerate([("quick", 0.33), ("poster", 0.97), ("unfinished", 0.99)]):
        evaluated(repository, scale, gate, age)
        os.utime(repository / "models" / scale / "operating_points.json", (1e9 - age, 1e9 - age))
    (repository / "models" / "unfinished" / "model.safetensors").unlink()
    register.run(root=repository)
    poster, quick = capsys.readouterr().out.splitlines()
    assert poster.startswith("poster: lensdream version 1, aliases candidate, candidate-poster, champion; ")
    assert quick.startswith("quick: lensdream version 2, aliases candidate, candidate-quick; ")
    # points of other weights keep no other model out, and those of an older version's champion neither
    save_model(repository / "models" / "poster", LensNet(LensNetConfig(8, 0.1)), 80)
    points = tracking.pull(root=repository) / "operating_points.json"
    points.write_text('{"tpr_at_fpr_1e-2": 0.97}')
    register.run(root=repository)
    poster, quick = capsys.readouterr().out.splitlines()
    assert poster.startswith("poster is not registered: ")
    assert "is of another model" in poster
    assert "champion" in quick
    with pytest.raises(PointsError, match="is of another model"):
        register.run("poster", repository)
