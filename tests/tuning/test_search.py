"""The search for training settings, on a store of tiny images."""

import dataclasses
import shutil
from pathlib import Path

import optuna
import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient

from conftest import ROOT
from lensdream import tracking, tuning
from lensdream.commands import tune
from lensdream.config import ConfigError, Training, load
from lensdream.runtime.provenance import Worker
from lensdream.tuning import search, space
from tuning_study import PARAMS, pretend, wanted


@pytest.fixture
def root(prepared, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # MLflow keeps the original's journal open: copy the file beside it too.
    return Path(shutil.copytree(prepared, tmp_path / "repository"))


def trials_of(root):
    storage = optuna.storages.journal.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(root / "mlruns" / "optuna" / "quick.log"))
    )
    (name,) = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=name, storage=storage).get_trials()


def nested_runs(root):
    client = MlflowClient(tracking.tracking_uri(root), tracking.tracking_uri(root))
    experiment = client.get_experiment_by_name("lensdream").experiment_id
    return client.search_runs([experiment], "tags.kind = 'nested'", order_by=["attributes.start_time ASC"])


def test_a_second_search_only_adds_what_is_missing(root, capsys):
    tune.run("quick", root)
    assert [trial.state.name for trial in trials_of(root)] == ["COMPLETE"] * 2
    printed = capsys.readouterr().out
    assert "validation AUROC" in printed
    assert printed.count("complete") == 2
    # The settings in use are the first trial.
    in_use = load("lensnet", Training, "quick", root / "params.yaml")
    assert tuning.settings_of(trials_of(root)[0].params) == {
        name: space.value_of(in_use, name) for name in tuning.SPACE
    }
    wanted(root, 3)
    tune.run("quick", root)
    tune.run("quick", root)
    trials = trials_of(root)
    assert len(trials) == 3
    assert len({trial.params["learning_rate"] for trial in trials}) == 3
    runs = nested_runs(root)
    assert [run.info.run_name for run in runs] == ["trial 0", "trial 1", "trial 2"]
    assert [run.info.status for run in runs] == ["FINISHED"] * 3
    assert all(0.0 <= trial.value <= 1.0 for trial in trials)
    table = pd.read_csv(root / "metrics" / "quick" / "tune.csv")
    assert sorted(table["trial"]) == [0, 1, 2]
    assert table["validation_auroc"].tolist() == pytest.approx(
        sorted((t.value for t in trials), reverse=True), rel=1e-5
    )
    assert {path.name for path in (root / "figures" / "quick" / "tune").iterdir()} == {"history.png", "slices.png"}
    assert runs[2].data.metrics["best_validation_auroc"] == pytest.approx(trials[2].value)
    assert float(runs[2].data.params["fit.learning_rate"]) == tuning.settings_of(trials[2].params)["learning_rate"]


def test_other_images_are_another_search(root, monkeypatch):
    fit, calls = pretend(lambda call: [0.9])
    monkeypatch.setattr(search, "fit", fit)
    tune.run("quick", root)
    path = root / "params.yaml"
    path.write_text(path.read_text().replace("images: 64", "images: 32"))
    tune.run("quick", root)
    assert len(calls) == 4


def test_a_trial_behind_the_others_is_pruned(root, monkeypatch):
    def curve(call):
        return [0.9, 0.9, 0.9, 0.9] if call < 3 else [0.6, 0.6, 0.6, 0.6]

    fit, _ = pretend(curve)
    monkeypatch.setattr(search, "fit", fit)
    wanted(root, 4)
    tune.run("quick", root)
    assert [trial.state.name for trial in trials_of(root)] == ["COMPLETE"] * 3 + ["PRUNED"]
    last = nested_runs(root)[-1]
    assert last.info.status == "KILLED"
    assert last.data.tags["optuna_state"] == "pruned"
    tune.run("quick", root)
    assert len(trials_of(root)) == 4


def test_a_trial_that_diverges_does_not_end_the_search(root, monkeypatch):
    good, calls = pretend(lambda call: [0.9])

    def fit(*arguments, **keywords):
        result = good(*arguments, **keywords)
        if len(calls) == 1:
            raise FloatingPointError("the training loss of epoch 0 is nan")
        return result

    monkeypatch.setattr(search, "fit", fit)
    tune.run("quick", root)
    assert [trial.state.name for trial in trials_of(root)] == ["PRUNED", "COMPLETE"]
    assert nested_runs(root)[0].data.tags["optuna_state"] == "diverged"


def test_an_interrupted_trial_is_taken_up_again(root, monkeypatch):
    good, calls = pretend(lambda call: [0.9])

    def fit(*arguments, **keywords):
        result = good(*arguments, **keywords)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(search, "fit", fit)
    with pytest.raises(KeyboardInterrupt):
        tune.run("quick", root)
    tune.run("quick", root)
    trials = trials_of(root)
    assert [trial.state.name for trial in trials] == ["COMPLETE", "FAIL", "COMPLETE"]
    assert trials[2].params == trials[1].params
    assert trials[2].user_attrs["retry_of"] == 1


def test_a_trial_whose_process_vanished_is_taken_up_again(root, monkeypatch):
    fit, _ = pretend(lambda call: [0.9])
    monkeypatch.setattr(search, "fit", fit)
    tune.run("quick", root)
    storage = optuna.storages.journal.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(root / "mlruns" / "optuna" / "quick.log"))
    )
    study = optuna.load_study(study_name=optuna.get_all_study_names(storage)[0], storage=storage)
    vanished = study.ask(tuning.SPACE)
    gone = dataclasses.replace(Worker.current(), started=1)
    for name, value in gone.tags().items():
        vanished.set_user_attr(name, value)
    wanted(root, 3)
    tune.run("quick", root)
    trials = trials_of(root)
    assert [trial.state.name for trial in trials] == ["COMPLETE", "COMPLETE", "FAIL", "COMPLETE"]
    assert trials[3].params == trials[2].params


def test_the_winner_is_written_and_comments_stay(root, monkeypatch, capsys):
    fit, calls = pretend(lambda call: [0.8 + 0.1 * call])
    monkeypatch.setattr(search, "fit", fit)
    tune.run("quick", root, write=True)
    text = (root / "params.yaml").read_text()
    assert "written to lensnet" in capsys.readouterr().out
    now = load("lensnet", Training, "quick", root / "params.yaml")
    network, fitted = calls[1]
    assert dataclasses.replace(now.fit, epochs=2) == fitted
    assert now.network == network.config
    assert [line.partition("#")[2] for line in text.splitlines()] == [
        line.partition("#")[2] for line in PARAMS.splitlines()
    ]
    assert yaml.safe_load(text)["tune"] == yaml.safe_load(PARAMS)["tune"]


def test_writing_changes_nothing_but_the_values(tmp_path):
    params = tmp_path / "params.yaml"
    params.write_text(PARAMS)
    tuning.write_settings(params, {"network.width": 48, "fit.learning_rate": 1.3e-5, "fit.seed": 7})
    expected = (
        PARAMS.replace("  width: 16             #", "  width: 48             #")
        .replace("learning_rate: 0.002  #", "learning_rate: 0.000013 #")
        .replace("  seed: 1               #", "  seed: 7               #")
    )
    assert params.read_text() == expected
    with pytest.raises(ConfigError, match=r"lensnet\.fit\.epochs"):
        tuning.write_settings(params, {"network.width": 16, "fit.epochs": 3})
    assert params.read_text() == expected


def test_the_repository_s_own_settings_can_be_written(tmp_path):
    params = tmp_path / "params.yaml"
    shutil.copy(ROOT / "params.yaml", params)
    before = yaml.safe_load(params.read_text())
    in_use = load("lensnet", Training, "quick", params)
    tuning.write_settings(params, {space.key_of(name): space.value_of(in_use, name) for name in tuning.SPACE})
    assert yaml.safe_load(params.read_text()) == before
    tuning.write_settings(params, {"network.dropout": 0.123})
    assert load("lensnet", Training, "quick", params).network.dropout == 0.123
    after = yaml.safe_load(params.read_text())
    assert {name for name in before if after[name] != before[name]} == {"lensnet"}
