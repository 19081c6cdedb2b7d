"""`lensdream train`: every network has files of its own."""

import dataclasses
import json

import pytest
import safetensors.torch
import torch
import yaml
from mlflow import MlflowClient

from conftest import TRAINING_FIT, write_training_store
from lensdream import tracking
from lensdream.commands import train as train_command
from lensdream.networks.layout import images_trained_on


@pytest.mark.parametrize(("network", "kind"), [("lensnet", "LensNet"), ("ou66", "OU66")])
def test_every_network_has_files_of_its_own(network, kind, tmp_path, capsys):
    write_training_store(tmp_path)
    fitted = {name: value for name, value in dataclasses.asdict(TRAINING_FIT).items() if name != "epochs"}
    shared = {"fit": fitted, "network": {"width": 8}}
    document = {
        "train": {"shared": shared, "tiny": {"fit": {"epochs": 1}}},
        "ou66": {"shared": {"fit": fitted, "network": {"dropout": 0.3}}, "tiny": {"fit": {"epochs": 2}, "images": 12}},
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document))
    train_command.run("tiny", network, tmp_path)
    name = "" if network == "lensnet" else f"-{network}"
    folder = tmp_path / "models" / "tiny" / ("" if network == "lensnet" else f"peers/{network}")
    written = json.loads((folder / "model.json").read_text())
    assert written["network"] == kind
    shape = {"dropout": 0.3} if kind == "OU66" else {"width": 8, "dropout": 0.2, "middle_pixels": 64}
    assert written["config"] == shape
    assert images_trained_on(folder) == (12 if network == "ou66" else 40)
    measured = json.loads((tmp_path / "metrics" / "tiny" / f"train{name}.json").read_text())
    assert {"best_epoch", "epochs", "images_per_second", "seconds", "parameters"} <= set(measured)
    assert (tmp_path / "metrics" / "tiny" / f"epochs{name}.csv").is_file()
    assert (tmp_path / "figures" / "tiny" / f"train{name}" / "losses.png").is_file()
    assert not list((tmp_path / "artifacts" / "tiny").glob("*.pt"))
    (run,) = MlflowClient(tracking.tracking_uri(tmp_path), tracking.tracking_uri(tmp_path)).search_runs(
        ["1"], f"tags.network = '{network}'"
    )
    assert run.data.tags["stage"] == f"train{name}"


@pytest.mark.parametrize(("bound", "stored"), [(train_command.LARGEST_CHANGE, torch.float16), (-1.0, torch.float32)])
def test_weights_are_rounded_only_where_no_validation_logit_changes_by_more_than_the_bound(
    bound, stored, tmp_path, monkeypatch, capsys
):
    write_training_store(tmp_path)
    fitted = dataclasses.asdict(TRAINING_FIT) | {"epochs": 1}
    document = {"train": {"shared": {"fit": fitted, "network": {"width": 8}}, "tiny": {}}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document))
    monkeypatch.setattr(train_command, "LARGEST_CHANGE", bound)
    train_command.run("tiny", root=tmp_path)
    found = safetensors.torch.load_file(tmp_path / "models" / "tiny" / "model.safetensors")
    assert found["block_3.conv_2.weight"].dtype == stored
    assert ("weights are stored in float32" in capsys.readouterr().out) == (stored == torch.float32)
    measured = json.loads((tmp_path / "metrics" / "tiny" / "train.json").read_text())
    assert 0 < measured["logit_change_by_float16"] < 0.02


def test_an_unknown_network_is_refused_with_those_that_are_known():
    with pytest.raises(ValueError, match="no network 'ou100'; networks are lensnet, ou66"):
        train_command.run("quick", "ou100")
