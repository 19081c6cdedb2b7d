"""The search for training settings, on a store of tiny images."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient

from lensdream import tracking, tuning
from lensdream.commands import tune
from lensdream.config import ConfigError, Training, load
from lensdream.dataset.store import SCHEMA_VERSION
from lensdream.instrument import Band
from lensdream.runtime.files import sha256_of
from lensdream.runtime.provenance import Worker
from lensdream.train.loop import EpochRecord, FitResult
from lensdream.tuning import pages, search, space

STAMP = 32
PARAMS = """\
# Settings of a test.

train:
  shared:
    fit:
      seed: 1               # of weights [0, 2^31)
      learning_rate: 0.002  # peak [1e-6, 1]
      final_rate: 0.01
      weight_decay: 0.02
      clip_norm: 1.0
      balanced: false
      dihedral: true
      patience: 0
      warmup_epochs: 0.5    # [epoch]
      batch_size: 32        # [2, 65536]
      shift_pixels: 2       # [pixel; 0, 16]
      band_dropout: 0.1
      gain_scatter: 0.03
      label_smoothing: 0.01 # [0, 0.4]
      averaging: 0.5        # [0, 0.99999]
      threads: 1            # [1, 1024]
    network:
      width: 16             # channels of the first block [4, 512]
      middle_pixels: 64
      dropout: 0.2          # before the last layer [0, 0.9]
    images: 0
    fresh_scenes: 0
    hard_negatives: 0
    hard_rounds: 0
  quick:
    fit:
      epochs: 14            # [1, 1e4]

tune:
  shared:
    seed: 5               # not train.shared.seed
  quick:
    trials: 2             # [1, 1e5]
    images: 64
    epochs: 2
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A repository with settings, images and MLflow's database."""
    root = tmp_path_factory.mktemp("prepared")
    (root / "params.yaml").write_text(PARAMS)
    folder = root / "artifacts" / "quick" / "images"
    folder.mkdir(parents=True)
    generator = np.random.default_rng(1)
    labels = np.arange(160) % 2
    images = generator.normal(0.0, 0.003, (160, len(Band), STAMP, STAMP))
    images[labels == 1, :, 12:20, 12:20] += 0.05
    np.save(folder / "images-00000.npy", images.astype(np.float16))
    splits = np.repeat(["train", "validation"], [120, 40])
    pd.DataFrame({"label": labels, "split": splits}).to_parquet(folder / "truth.parquet")
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "bands": [band.name for band in Band],
        "n": len(labels),
        "stamp": STAMP,
        "shard_size": len(labels),
        "sha256": {name: sha256_of(folder / name) for name in ("images-00000.npy", "truth.parquet")},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    tracking.ui_command(root)
    return root


@pytest.fixture
def root(prepared, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # MLflow keeps the original's journal open: copy the file beside it too.
    return Path(shutil.copytree(prepared, tmp_path / "repository"))


def wanted(root, trials):
    path = root / "params.yaml"
    path.write_text(path.read_text().replace("trials: 2", f"trials: {trials}"))


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


def pretend(curve):
    """A training whose validation AUROC in each epoch is `curve(call)[epoch]`."""
    calls = []

    def fit(build, settings, train, validation, *, checkpoint=None, on_epoch):
        calls.append((build(), settings))
        records = []
        for epoch, auroc in enumerate(curve(len(calls) - 1)):
            records.append(EpochRecord(epoch, 0.5, 1 - auroc, auroc, 0.001, 1.0, 100.0))
            on_epoch(records[-1], None, True)
        return FitResult(None, int(np.argmax([record.validation_auroc for record in records])), records)

    return fit, calls


def test_a_second_search_only_adds_what_is_missing(root, capsys):
    tune.run("quick", root)
    assert [trial.state.name for trial in trials_of(root)] == ["COMPLETE"] * 2
    printed = capsys.readouterr().out
    assert "validation AUROC" in printed
    assert printed.count("complete") == 2
    # The settings in use are the first trial.
    in_use = load("train", Training, "quick", root / "params.yaml")
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
    assert "written to train.shared" in capsys.readouterr().out
    now = load("train", Training, "quick", root / "params.yaml")
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
        .replace("    seed: 1               #", "    seed: 7               #")
    )
    assert params.read_text() == expected
    with pytest.raises(ConfigError, match=r"train\.shared\.fit\.epochs"):
        tuning.write_settings(params, {"network.width": 16, "fit.epochs": 3})
    assert params.read_text() == expected


def test_the_repository_s_own_settings_can_be_written(tmp_path):
    params = tmp_path / "params.yaml"
    shutil.copy(Path(__file__).parents[1] / "params.yaml", params)
    before = yaml.safe_load(params.read_text())
    in_use = load("train", Training, "quick", params)
    tuning.write_settings(params, {space.key_of(name): space.value_of(in_use, name) for name in tuning.SPACE})
    assert yaml.safe_load(params.read_text()) == before
    tuning.write_settings(params, {"network.dropout": 0.123})
    assert load("train", Training, "quick", params).network.dropout == 0.123
    after = yaml.safe_load(params.read_text())
    assert {name for name in before if after[name] != before[name]} == {"train"}


def test_the_importance_of_a_setting_that_alone_matters_is_nearly_one():
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=1))
    assert pages.importances(study) == {}
    for _ in range(40):
        trial = study.ask(tuning.SPACE)
        study.tell(trial, np.log(trial.params["learning_rate"]))
    shares = pages.importances(study)
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["learning_rate"] > 0.8


def test_a_pruned_trial_stands_in_the_table_with_its_last_score():
    study = optuna.create_study(direction="maximize")
    for value in (0.9, None):
        trial = study.ask(tuning.SPACE)
        trial.report(0.6, 0)
        trial.report(0.7, 1)
        state = optuna.trial.TrialState.PRUNED if value is None else None
        study.tell(trial, value, state=state)
    table = pages.trials_table(study)
    assert table[["state", "validation_auroc", "epochs"]].values.tolist() == [["complete", 0.9, 2], ["pruned", 0.7, 2]]
    assert len(pages.slices(table, {}).axes) == len(pages.slices(table, {"width": 1.0}).axes) >= len(tuning.SPACE)
