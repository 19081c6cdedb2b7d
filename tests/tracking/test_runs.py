"""Runs of stages: what each keeps, and how it ends."""

from dataclasses import dataclass, field

import pytest

from lensdream.tracking.runs import stage_run
from lensdream.tracking.store import open_store


@dataclass(frozen=True)
class Fit:
    epochs: int = 3


@dataclass(frozen=True)
class Settings:
    fit: Fit = field(default_factory=Fit)
    shares: dict = field(default_factory=lambda: {"star": 0.5})


def run_of(root, run_id):
    return open_store(root).client.get_run(run_id)


def test_nested_settings_become_dotted_parameters(root):
    with stage_run("train", "quick", Settings(), root=root) as run:
        pass
    kept = run_of(root, run.run_id)
    assert kept.data.params == {"fit.epochs": "3", "shares.star": "0.5"}
    assert kept.info.status == "FINISHED"
    assert kept.data.tags["stage"] == "train"


def test_results_stand_in_the_pipelines_run_too_and_curves_do_not(root):
    with stage_run("train", "quick", Settings(), root=root) as run:
        run.metrics({"loss": 0.5}, step=1)
        run.metrics({"auroc": 0.9})
    kept = run_of(root, run.run_id)
    assert kept.data.metrics == {"loss": 0.5, "auroc": 0.9}
    assert run_of(root, kept.data.tags["mlflow.parentRunId"]).data.metrics == {"train.auroc": 0.9}


def test_stages_of_one_scale_share_a_pipeline(root):
    parents = []
    for stage, scale in (("train", "quick"), ("evaluate", "quick"), ("train", "poster")):
        with stage_run(stage, scale, None, root=root) as run:
            parents.append(run_of(root, run.run_id).data.tags["mlflow.parentRunId"])
    assert parents[0] == parents[1] != parents[2]


@pytest.mark.parametrize(("error", "status"), [(ValueError("too hot"), "FAILED"), (KeyboardInterrupt(), "KILLED")])
def test_an_exception_goes_on_and_the_run_keeps_why_it_ended(root, error, status):
    with pytest.raises(type(error)), stage_run("train", "quick", None, root=root) as run:
        raise error
    kept = run_of(root, run.run_id)
    assert kept.info.status == status
    assert kept.data.tags["ended_by"] == f"{type(error).__name__}: {error}"
    assert run_of(root, kept.data.tags["mlflow.parentRunId"]).info.status == status


def test_metrics_that_are_no_numbers_are_refused_by_name(root):
    with stage_run("train", "quick", None, root=root) as run:
        with pytest.raises(TypeError, match=r"metrics must be numbers, got {'auroc': None}: leave out what was not"):
            run.metrics({"auroc": None, "loss": 1.0})
        with pytest.raises(FileNotFoundError, match=r"cannot log .*nothing\.png: no such file; write it first"):
            run.figure(root / "nothing.png")


def test_a_nested_run_that_was_stopped_is_killed_and_not_failed(root):
    class Pruned(Exception):
        pass

    with stage_run("tune", "quick", None, root=root) as run:
        with pytest.raises(Pruned), run.nested("trial 0", {"rate": 0.1}, stopped_by=(Pruned,)) as trial:
            raise Pruned
        assert run_of(root, trial.run_id).info.status == "KILLED"
        assert run_of(root, trial.run_id).data.tags["mlflow.parentRunId"] == run.run_id
    assert run_of(root, run.run_id).info.status == "FINISHED"


def test_whoever_comes_next_closes_all_runs_of_dead_processes_and_their_pipelines(root, monkeypatch):
    with stage_run("train", "quick", None, root=root) as first:
        pass
    with stage_run("simulate", "poster", None, root=root) as second:
        pass
    store = open_store(root)
    pipelines = [run_of(root, run.run_id).data.tags["mlflow.parentRunId"] for run in (first, second)]
    for run in (first.run_id, second.run_id, *pipelines):  # as kill -9 leaves them
        store.client.update_run(run, status="RUNNING")
    for run in (first, second):
        store.client.set_tag(run.run_id, "process_started", "1")
    with stage_run("evaluate", "other", None, root=root) as own:
        assert {run_of(root, run.run_id).info.status for run in (first, second)} == {"KILLED"}
        assert {run_of(root, run).info.status for run in pipelines} == {"KILLED"}
        assert run_of(root, own.run_id).info.status == "RUNNING"
        assert run_of(root, run_of(root, own.run_id).data.tags["mlflow.parentRunId"]).info.status == "RUNNING"
    assert run_of(root, first.run_id).data.tags["ended_by"] == "the process vanished"
