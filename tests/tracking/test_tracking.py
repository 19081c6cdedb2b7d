"""MLflow runs, checkpoints and the registry, on databases of their own."""

import json
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
from mlflow import MlflowClient

from conftest import heed_interrupts
from lensdream import tracking
from lensdream.finder import operating_points
from lensdream.finder.finder import load_cascade
from lensdream.finder.operating_points import OperatingPoints
from lensdream.networks.cascade import Cascade
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.model_file import load_model, save_model
from lensdream.runtime.provenance import git_state, repository_root


@dataclass(frozen=True)
class Settings:
    seed: int = 1
    rate: float = 0.5


@pytest.fixture(scope="session")
def migrated(tmp_path_factory):
    """A database with MLflow's tables; making them takes seconds, copying them does not."""
    root = tmp_path_factory.mktemp("migrated")
    tracking.ui_command(root)
    return root / "mlruns" / "mlflow.db"


@pytest.fixture
def root(tmp_path, migrated, monkeypatch):
    for name in ("DVC_EXP_NAME", "DVC_EXP_BASELINE_REV", "DVC_STAGE"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "a repository"
    (folder / "mlruns").mkdir(parents=True)
    with (
        closing(sqlite3.connect(migrated)) as source,
        closing(sqlite3.connect(folder / "mlruns" / "mlflow.db")) as copy,
    ):
        source.backup(copy)
    monkeypatch.chdir(tmp_path)
    yield folder
    assert not (tmp_path / "mlflow.db").exists(), "something used MLflow's global address"


def client_of(root):
    return MlflowClient(tracking.tracking_uri(root), tracking.tracking_uri(root))


def runs_of(root, condition=""):
    client = client_of(root)
    return client.search_runs([client.get_experiment_by_name("lensdream").experiment_id], condition)


def train(root, scale="quick", seed=0):
    """A network with random weights where the train stage would leave its best one."""
    torch.manual_seed(seed)
    network = LensNet(LensNetConfig(width=4)).eval()
    save_model(root / "models" / scale, network, stamp=32)
    return network


def git(root, *arguments):
    identity = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
    subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(root):
    for name in ("src", "metrics"):
        (root / name).mkdir()
    for name in ("src/code.py", "params.yaml", "metrics/a.json"):
        (root / name).write_text("1\n")
    (root / ".gitignore").write_text("/mlruns/\n")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-qm", "first")
    return root


def test_stages_of_a_pipeline_share_a_parent(root):
    images = root / "images"
    images.mkdir()
    (images / "manifest.json").write_text("{}")
    with tracking.stage_run("simulate", "quick", Settings(), root=root) as first:
        first.metrics({"images_per_second": 12.0})
    nested = {"train": Settings(), "network": {"width": 4}}
    with tracking.stage_run("train", "quick", nested, root=root, datasets={"images": images}) as second:
        assert runs_of(root, f"attributes.run_id = '{second.run_id}'")[0].info.status == "RUNNING"
    with tracking.stage_run("train", "poster", None, root=root):
        pass
    runs = {run.info.run_id: run for run in runs_of(root)}
    assert len(runs) == 5
    a, b = runs[first.run_id], runs[second.run_id]
    assert a.data.tags["mlflow.parentRunId"] == b.data.tags["mlflow.parentRunId"]
    parent = runs[a.data.tags["mlflow.parentRunId"]]
    assert parent.info.run_name == "pipeline quick"
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert a.data.params == {"seed": "1", "rate": "0.5"}
    assert b.data.params == {"train.seed": "1", "train.rate": "0.5", "network.width": "4"}
    assert a.data.metrics == {"images_per_second": 12.0}
    assert parent.data.metrics == {"simulate.images_per_second": 12.0}
    assert b.data.tags["stage"] == "train"
    assert b.data.tags["scale"] == "quick"
    (data,) = b.inputs.dataset_inputs
    assert data.dataset.name == "images"
    assert b.data.tags["dataset.images"].startswith(f"sha256:{data.dataset.digest}")


@pytest.mark.parametrize(("error", "status"), [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_an_exception_ends_run_and_pipeline_and_goes_on(root, error, status):
    with pytest.raises(error), tracking.stage_run("train", "quick", None, root=root):
        raise error("why")
    runs = runs_of(root)
    assert [run.info.status for run in runs] == [status, status]
    assert [run.data.tags["ended_by"] for run in runs if "stage" in run.data.tags] == [f"{error.__name__}: why"]
    with tracking.stage_run("train", "quick", None, root=root):
        pass
    assert sorted(run.info.status for run in runs_of(root)) == sorted([status, "FINISHED", "FINISHED"])


def test_a_nested_run_may_be_stopped_on_purpose(root):
    class Pruned(Exception):
        pass

    with pytest.raises(Pruned), tracking.stage_run("tune", "quick", None, root=root) as study:  # noqa: PT012, SIM117
        with study.nested("trial 0", Settings(), stopped_by=(Pruned,)) as trial:
            trial.tags({"state": "pruned"})
            raise Pruned
    run = client_of(root).get_run(trial.run_id)
    assert run.info.status == "KILLED"
    assert run.data.tags["state"] == "pruned"
    assert run.data.tags["mlflow.parentRunId"] == study.run_id
    assert client_of(root).get_run(study.run_id).info.status == "FAILED"


def test_ctrl_c_kills_the_run_of_a_new_database_in_silence(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from lensdream import tracking\n"
        "with tracking.stage_run('train', 'quick', None, root=Path(sys.argv[1])):\n"
        "    print('ready', flush=True); time.sleep(60)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes, preexec_fn=heed_interrupts) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert errors.startswith("Traceback")
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert "INFO" not in errors
    assert {run.info.status for run in runs_of(tmp_path)} == {"KILLED"}
    with closing(sqlite3.connect(tmp_path / "mlruns" / "mlflow.db")) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def work(root, barrier, name):
    barrier.wait()
    with tracking.stage_run("train", "quick", None, root=root) as run:
        run.metrics({"x": 1.0})
        if name == 0:
            os._exit(9)


def test_processes_that_open_a_missing_database_at_once_all_live(tmp_path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["lensdream.tracking"])
    barrier = context.Barrier(4)
    processes = [context.Process(target=work, args=(tmp_path, barrier, name)) for name in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [9, 0, 0, 0]
    # One parent for all, and the run of the process that vanished is marked by whoever comes next.
    assert [run.data.tags["kind"] for run in runs_of(tmp_path)].count("pipeline") == 1
    with tracking.stage_run("train", "quick", None, root=tmp_path) as run:
        statuses = [run.info.status for run in runs_of(tmp_path, "tags.kind = 'stage'")]
        assert sorted(statuses) == ["FINISHED"] * 3 + ["KILLED", "RUNNING"]
        # This process lives: a second run of the stage beside it leaves it alone.
        with tracking.stage_run("train", "quick", None, root=tmp_path):
            assert client_of(tmp_path).get_run(run.run_id).info.status == "RUNNING"


def test_a_checkpoint_is_a_model_with_its_own_metrics(root):
    with tracking.stage_run("train", "quick", None, root=root) as run:
        for epoch, auroc in ((1, 0.7), (2, 0.9), (3, 0.8)):
            train(root, seed=epoch)
            run.metrics({"validation_auroc": auroc, "train_loss": 1 / epoch}, step=epoch)
            run.checkpoint(root / "models" / "quick", epoch, {"validation_auroc": auroc})
    client = client_of(root)
    models = client.search_logged_models(
        [client.get_experiment_by_name("lensdream").experiment_id],
        "metrics.validation_auroc > 0.75",
        order_by=[{"field_name": "metrics.validation_auroc", "ascending": False}],
    )
    assert [model.name for model in models] == ["epoch-2", "epoch-3"]
    (metric,) = models[0].metrics
    assert (metric.key, metric.value, metric.step, metric.run_id) == ("validation_auroc", 0.9, 2, run.run_id)
    assert models[0].source_run_id == run.run_id
    assert {model.step for model in client.get_run(run.run_id).outputs.model_outputs} == {1, 2, 3}
    history = client.get_metric_history(run.run_id, "validation_auroc")
    assert [(point.step, point.value) for point in history] == [(1, 0.7), (2, 0.9), (3, 0.8)]


def test_a_later_value_of_a_metric_counts(root):
    with tracking.stage_run("evaluate", "quick", None, root=root) as run:
        run.metrics({"x": 2.0})
        run.metrics({"x": 1.0})
        run.metrics({"nan": float("nan")})
        with pytest.raises(TypeError, match=r"\{'y': None\}"):
            run.metrics({"x": 3.0, "y": None})
    assert client_of(root).get_run(run.run_id).data.metrics["x"] == 1.0


def test_a_figure_is_kept(root):
    picture = root / "curve.png"
    picture.write_bytes(b"png")
    with tracking.stage_run("report", "quick", None, root=root) as run:
        run.figure(picture)
        with pytest.raises(FileNotFoundError, match=r"other\.png"):
            run.figure(root / "other.png")
    (kept,) = (root / "mlruns" / "artifacts").rglob("figures/curve.png")
    assert kept.read_bytes() == b"png"


def test_the_registry_returns_what_it_was_given(root):
    network = train(root)
    (root / "models" / "quick" / "operating_points.json").write_text('{"a": 1}')
    with tracking.stage_run("train", "quick", None, root=root) as run:
        run.checkpoint(root / "models" / "quick", 1, {"validation_auroc": 0.9})
    first = tracking.register(root / "models" / "quick", "quick", root=root, promote=True)
    assert (first.version, first.created, first.run_id) == (1, True, run.run_id)
    assert first.aliases == ("candidate", "candidate-quick", "champion")
    images = torch.randn(3, 4, 40, 40)
    for name in ("champion", "1", "models:/lensdream@candidate-quick", "models:/lensdream/1"):
        folder = tracking.pull(name, root=root)
        with torch.no_grad():
            assert torch.equal(load_model(folder)(images), network(images))
    assert json.loads((folder / "operating_points.json").read_text()) == {"a": 1}
    tags = client_of(root).get_model_version("lensdream", "1").tags
    assert tags["weights_sha256"] == first.weights_sha256
    assert tags["scale"] == "quick"


def test_the_same_weights_are_one_version(root):
    train(root)
    assert tracking.register(root / "models" / "quick", "quick", root=root, promote=False).created
    (root / "models" / "quick" / "operating_points.json").write_text('{"measured": "since"}')
    again = tracking.register(root / "models" / "quick", "quick", root=root, promote=True)
    assert (again.version, again.created, "champion" in again.aliases) == (1, False, True)
    assert len(client_of(root).search_model_versions("name = 'lensdream'")) == 1
    assert (tracking.pull(root=root) / "operating_points.json").read_text() == '{"measured": "since"}'


def test_only_a_promoted_model_becomes_champion(root, monkeypatch):
    for seed, promote in enumerate((True, False, True)):
        train(root, seed=seed)
        tracking.register(root / "models" / "quick", "quick", root=root, promote=promote)
        aliases = client_of(root).get_registered_model("lensdream").aliases
        assert int(aliases["candidate"]) == seed + 1
        assert int(aliases["champion"]) == (1, 1, 3)[seed]
    assert int(aliases["previous"]) == 1
    train(root, "poster", seed=9)
    monkeypatch.setenv("DVC_EXP_NAME", "some-sweep")
    version = tracking.register(root / "models" / "poster", "poster", root=root, promote=True)
    assert version.aliases == ("candidate", "candidate-poster")
    assert client_of(root).get_registered_model("lensdream").aliases == aliases | {
        "candidate": 4,
        "candidate-poster": 4,
    }


def test_a_model_that_is_not_registered_is_named_with_the_remedy(root, tmp_path):
    bare = tmp_path / "bare"
    assert not tracking.has_champion(bare)
    assert tracking.stage_links("quick", bare) == {}
    with pytest.raises(LookupError, match="lensdream register"):
        tracking.pull(root=bare)
    with pytest.raises(FileNotFoundError, match="train stage"):
        tracking.register(bare / "models" / "quick", "quick", root=bare, promote=True)
    assert not bare.exists()
    train(root)
    tracking.register(root / "models" / "quick", "quick", root=root, promote=False)
    assert not tracking.has_champion(root)
    with pytest.raises(LookupError, match=r"it has: candidate, candidate-quick, 1; .*passes the gate"):
        tracking.pull(root=root)
    (tracking.pull("1", root=root) / "model.safetensors").unlink()
    with pytest.raises(LookupError, match="version 1 are gone"):
        tracking.pull("1", root=root)


def test_mlflow_loads_and_scores_the_champion(root):
    network = train(root)
    images = np.random.default_rng(0).normal(size=(301, 4, 32, 32)).astype(np.float32)
    with torch.no_grad():
        logits = Cascade(network)(torch.from_numpy(images)).numpy()
    points = OperatingPoints({"fpr_1e-3": float(np.median(logits)) - 1e-4}, 2.0)
    operating_points.write(root / "models" / "quick", points)
    tracking.register(root / "models" / "quick", "quick", root=root, promote=True)
    assert not list(root.rglob("*.pkl"))
    mlflow.set_tracking_uri(tracking.tracking_uri(root))
    model = mlflow.pyfunc.load_model("models:/lensdream@champion")
    table = model.predict(images)
    np.testing.assert_allclose(table["logit"], logits, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(table["probability"], 1 / (1 + np.exp(-logits / 2)), rtol=1e-5)
    np.testing.assert_array_equal(table["above_fpr_1e-3"], table["logit"] >= points.thresholds["fpr_1e-3"])
    assert len(model.predict(images[:0])) == 0
    images[0, 0, 16, 16] = np.nan
    assert model.predict(images[:2])["above_fpr_1e-3"].isna().tolist() == [True, False]


def test_a_second_network_is_registered_with_the_first(root):
    train(root)
    first = tracking.register(root / "models" / "quick", "quick", root=root, promote=True)
    second = LensNet(LensNetConfig(6)).eval()
    save_model(root / "models" / "quick" / "second", second, 32)
    both = tracking.register(root / "models" / "quick", "quick", root=root, promote=True)
    assert both.created
    assert both.version == first.version + 1
    assert both.run_id == first.run_id
    found = load_cascade(tracking.pull(root=root)).second.network
    assert torch.equal(found.head.weight, second.head.weight)
    assert not tracking.register(root / "models" / "quick", "quick", root=root, promote=True).created


def test_a_moved_repository_keeps_its_models_and_runs(root):
    train(root)
    with tracking.stage_run("train", "quick", None, root=root) as run:
        run.artifact(root / "models" / "quick" / "model.json")
    tracking.register(root / "models" / "quick", "quick", root=root, promote=True)
    moved = root.rename(root.parent / "elsewhere")
    folder = tracking.pull(root=moved)
    assert folder.is_relative_to(moved)
    assert load_model(folder).config.width == 4
    assert Path(client_of(moved).download_artifacts(run.run_id, "model.json")).is_file()
    with tracking.stage_run("report", "quick", None, root=moved) as run:
        run.artifact(moved / "models" / "quick" / "model.json")
    assert not root.exists()


def test_an_experiment_in_a_temporary_copy_is_recorded_in_the_repository(root, monkeypatch):
    copy = root / ".dvc" / "tmp" / "exps" / "standalone" / "tmp123"
    copy.mkdir(parents=True)
    assert repository_root(copy) == root
    assert repository_root(copy / "deeper") == root
    monkeypatch.chdir(copy)
    monkeypatch.setenv("DVC_EXP_NAME", "deep-sky")
    with tracking.stage_run("train", "quick", None) as run:
        pass
    assert not (copy / "mlruns").exists()
    assert client_of(root).get_run(run.run_id).data.tags["dvc_exp_name"] == "deep-sky"


def test_outputs_of_stages_do_not_make_the_code_dirty(repository, monkeypatch):
    clean = git_state(repository)
    assert len(clean.commit) == 40
    (repository / "metrics" / "a.json").write_text("2\n")
    (repository / "dvc.lock").write_text("new\n")
    assert git_state(repository) == clean
    assert not clean.dirty
    (repository / "params.yaml").write_text("2\n")
    assert git_state(repository).dirty
    monkeypatch.setenv("DVC_EXP_NAME", "deep-sky")
    assert not git_state(repository).dirty
    (repository / "src" / "new.py").write_text("")
    assert git_state(repository).dirty


def test_a_dirty_run_has_another_parent(repository):
    with tracking.stage_run("train", "quick", None, root=repository):
        pass
    (repository / "src" / "code.py").write_text("2\n")
    with tracking.stage_run("train", "quick", None, root=repository):
        pass
    assert [run.data.tags["git_dirty"] for run in runs_of(repository, "tags.kind = 'pipeline'")] == ["true", "false"]


def test_links_lead_to_the_newest_finished_run_of_each_stage(root, monkeypatch):
    with tracking.stage_run("train", "quick", None, root=root):
        pass
    with tracking.stage_run("train", "quick", None, root=root) as newest:
        pass
    with pytest.raises(ValueError, match="x"), tracking.stage_run("train", "quick", None, root=root):
        raise ValueError("x")
    monkeypatch.setenv("DVC_EXP_NAME", "some-sweep")
    with tracking.stage_run("train", "quick", None, root=root) as swept:
        pass
    assert tracking.stage_links("quick", root)["train"].endswith(f"/runs/{swept.run_id}")
    monkeypatch.delenv("DVC_EXP_NAME")
    with tracking.stage_run("evaluate", "poster", None, root=root):
        pass
    with tracking.stage_run("report", "quick", None, root=root):
        links = tracking.stage_links("quick", root)
    assert list(links) == ["train"]
    assert links["train"].startswith("http://127.0.0.1:5000/#/experiments/")
    assert links["train"].endswith(f"/runs/{newest.run_id}")


def test_pages_are_served_to_this_machine_only(root):
    command = tracking.ui_command(root, 5051)
    assert command[:2] == ["env", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false"]
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert command[command.index("--port") + 1] == "5051"
    assert command[command.index("--backend-store-uri") + 1] == f"sqlite:///{root / 'mlruns' / 'mlflow.db'}"
