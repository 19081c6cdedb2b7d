"""`lensdream train`: every network has files of its own."""

import dataclasses
import json

import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient

from conftest import TRAINING_FIT, write_training_store
from lensdream import tracking
from lensdream.commands import train as _train_
from lensdream.networks.layout import images_trained_on


@pytest.mark.parametrize(("network", "kind"), [("lensnet", "LensNet"), ("ou66", "OU66"), ("lensnet-wide", "LensNet")])
def test_every_network_has_files_of_its_own(network, kind, tmp_path, capsys):
    write_training_store(tmp_path)
    fitted = {name: value for name, value in dataclasses.asdict(TRAINING_FIT).items() if name != "epochs"}
    shared = {"fit": fitted, "network": {"width": 8}}
    document = {
        "train": {"shared": shared, "tiny": {"fit": {"epochs": 1}}},
        "ou66": {"shared": {"fit": fitted, "network": {"dropout": 0.3}}, "tiny": {"fit": {"epochs": 1}}},
        "lensnet-wide": {"shared": shared, "tiny": {"fit": {"epochs": 2}, "images": 12}},
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document))
    _train_.run("tiny", network, tmp_path)
    name = "" if network == "lensnet" else f"-{network}"
    folder = tmp_path / "models" / "tiny" / ("" if network == "lensnet" else f"peers/{network}")
    written = json.loads((folder / "model.json").read_text())
    assert written["network"] == kind
    shape = {"dropout": 0.3} if kind == "OU66" else {"width": 8, "dropout": 0.2, "middle_pixels": 64}
    assert written["config"] == shape
    assert images_trained_on(folder) == (12 if network == "lensnet-wide" else 40)
    measured = json.loads((tmp_path / "metrics" / "tiny" / f"train{name}.json").read_text())
    assert {"best_epoch", "epochs", "images_per_second", "seconds", "parameters"} <= set(measured)
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
        ["1"], f"tags.network = '{network}'"
    )
    assert run.data.tags["stage"] == f"train{name}"
    assert run.data.metrics["best_train_accuracy"] == measured["train_accuracy"]
    assert {"train_loss", "augmented_train_loss", "validation_accuracy"} <= set(run.data.metrics)


def test_an_unknown_network_is_refused_with_those_that_are_known():
    with pytest.raises(ValueError, match="no network 'ou100'; networks are lensnet, ou66, ou200, lensnet-wide"):
        _train_.run("quick", "ou100")
