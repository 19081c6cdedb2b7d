"""`lensdream train`: every network has files of its own."""

import dataclasses
import json

import pandas as pd
import pytest
import safetensors.torch
import torch
import yaml
from mlflow import MlflowClient

from conftest import TRAINING_FIT, write_training_store
from lensdream import tracking
from lensdream.commands import train as _train_
from lensdream.commands import training
from lensdream.commands.paths import Paths
from lensdream.commands.timings import timings_of
from lensdream.networks.layout import images_trained_on


@pytest.mark.parametrize(("recipe", "kind"), [("lensnet", "LensNet"), ("ou66", "OU66")])
def test_every_network_has_files_of_its_own(recipe, kind, tmp_path, capsys):
    write_training_store(tmp_path)
    fitted = {name: value for name, value in dataclasses.asdict(TRAINING_FIT).items() if name != "epochs"}
    document = {
        "lensnet": {"fit": fitted, "network": {"width": 8}},
        "ou66": {"fit": fitted, "network": {"dropout": 0.3}},
        "scales": {"tiny": {"lensnet": {"fit": {"epochs": 1}}, "ou66": {"fit": {"epochs": 2}, "images": 12}}},
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document))
    _train_.run("tiny", recipe, tmp_path)
    name = "" if recipe == "lensnet" else f"-{recipe}"
    folder = tmp_path / "models" / "tiny" / ("" if recipe == "lensnet" else f"peers/{recipe}")
    written = json.loads((folder / "model.json").read_text())
    assert written["network"] == kind
    shape = {"dropout": 0.3} if kind == "OU66" else {"width": 8, "dropout": 0.2, "middle_pixels": 64}
    assert written["config"] == shape
    facts = {
        "recipe": recipe,
        "seed": fitted["seed"],
        "epochs": 2 if recipe == "ou66" else 1,
        "best_epoch": written["training"]["best_epoch"],
    }
    assert written["training"] == facts
    assert images_trained_on(folder) == (12 if recipe == "ou66" else 40)
    measured = json.loads((tmp_path / "metrics" / "tiny" / f"train{name}.json").read_text())
    assert {"best_epoch", "epochs", "parameters"} <= set(measured)
    assert facts.items() <= (measured | {"recipe": recipe}).items()
    assert not {"images_per_second", "seconds"} & set(measured)
    assert timings_of("tiny", tmp_path)[f"train{name}"]["images_per_second"] > 0
    curves = pd.read_csv(tmp_path / "metrics" / "tiny" / f"epochs{name}.csv")
    assert list(curves) == [
        "epoch", "train_loss", "validation_loss", "train_accuracy", "validation_accuracy", "validation_auroc",
        "augmented_train_loss", "learning_rate", "kept",
    ]  # fmt: skip
    assert curves["epoch"][curves["kept"] == 1].tolist() == [measured["best_epoch"]]
    kept = curves.iloc[measured["best_epoch"]]
    for column in ("validation_loss", "validation_auroc", "train_accuracy", "validation_accuracy"):
        assert measured[column] == pytest.approx(kept[column], rel=1e-5)
    assert (tmp_path / "figures" / "tiny" / f"train{name}" / "losses.png").is_file()
    assert not list((tmp_path / "artifacts" / "tiny").glob("*.pt"))
    (run,) = MlflowClient(tracking.tracking_uri(tmp_path), tracking.tracking_uri(tmp_path)).search_runs(
        ["1"], f"tags.network = '{recipe}'"
    )
    assert run.data.tags["stage"] == f"train{name}"
    assert {"run_seconds", "run_images_per_second"} <= set(run.data.metrics)
    assert run.data.metrics["best_train_accuracy"] == measured["train_accuracy"]
    assert {"train_loss", "augmented_train_loss", "validation_accuracy"} <= set(run.data.metrics)


def test_a_training_that_goes_on_has_the_time_of_its_earlier_epochs_too(tmp_path, monkeypatch):
    write_training_store(tmp_path)
    fitted = dataclasses.asdict(TRAINING_FIT) | {"epochs": 1}
    document = {"lensnet": {"fit": fitted, "network": {"width": 8}}, "scales": {"tiny": {}}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document))
    monkeypatch.setattr("lensdream.commands.training.write_curves", None)
    with pytest.raises(TypeError):
        _train_.run("tiny", root=tmp_path)
    assert timings_of("tiny", tmp_path) == {}
    monkeypatch.undo()
    file = Paths("tiny", tmp_path).checkpoint("train")
    state = torch.load(file)
    state["records"][0]["seconds"] = 5000.0
    torch.save(state, file)
    _train_.run("tiny", root=tmp_path)
    assert 5000 < timings_of("tiny", tmp_path)["train"]["seconds"] < 5060


@pytest.mark.parametrize(("bound", "stored"), [(training.LARGEST_CHANGE, torch.float16), (-1.0, torch.float32)])
def test_weights_are_rounded_only_where_no_validation_logit_changes_by_more_than_the_bound(
    bound, stored, tmp_path, monkeypatch, capsys
):
    write_training_store(tmp_path)
    fitted = dataclasses.asdict(TRAINING_FIT) | {"epochs": 1}
    document = {"lensnet": {"fit": fitted, "network": {"width": 8}}, "scales": {"tiny": {}}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document))
    monkeypatch.setattr(training, "LARGEST_CHANGE", bound)
    _train_.run("tiny", root=tmp_path)
    found = safetensors.torch.load_file(tmp_path / "models" / "tiny" / "model.safetensors")
    assert found["block_3.conv_2.weight"].dtype == stored
    assert ("weights are stored in float32" in capsys.readouterr().out) == (stored == torch.float32)
    measured = json.loads((tmp_path / "metrics" / "tiny" / "train.json").read_text())
    assert 0 < measured["logit_change_by_float16"] < 0.02


def test_an_unknown_network_is_refused_with_those_that_are_known():
    with pytest.raises(
        ValueError, match="no recipe 'ou100'; recipes are lensnet, ou66, deep, second_stage, compound_classifier"
    ):
        _train_.run("quick", "ou100")
