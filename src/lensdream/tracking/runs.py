"""Runs of MLflow: one a stage, nested under one a pipeline."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lensdream.networks.layout import WEIGHTS
from lensdream.runtime.files import sha256_of
from lensdream.runtime.provenance import Worker, dataset_identity, dvc_environment, git_state
from lensdream.tracking.store import Store, lock_of, log_model, network_files, open_store, search_runs, tracking_uri

# isort: split
# After `store`, which quietens MLflow before it is imported.
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelOutput, Metric, Param, RunTag
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor


@dataclass(frozen=True)
class StageRun:
    """A run in progress."""

    run_id: str
    _store: Store
    _tags: Mapping[str, str]
    _pipeline: str | None = None
    """the parent run that shows the stage's results among those of the other stages"""
    _logged: dict[tuple[str, int], Metric] = field(default_factory=dict, repr=False)

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Record numbers, at an epoch or another `step` where there is one.

        A stage's results, which have no step, also stand in the pipeline's run as `<stage>.<name>`, so that whole pipelines
        can be compared.
        """
        self._log(values, 0 if step is None else step, None)
        if step is None and self._pipeline is not None:
            now, stage = int(time.time() * 1000), self._tags["stage"]
            results = [Metric(f"{stage}.{key}", float(value), now, 0) for key, value in values.items()]
            self._store.client.log_batch(self._pipeline, metrics=results)

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags."""
        self._store.client.log_batch(self.run_id, tags=[RunTag(key, str(value)) for key, value in values.items()])

    def figure(self, path: Path, folder: str = "figures") -> None:
        """Keep an image file in the run's `folder`."""
        self.artifact(path, folder)

    def artifact(self, path: Path, folder: str | None = None) -> None:
        """Keep a copy of a file in the run's `folder`, or at its top."""
        if not path.is_file():
            raise FileNotFoundError(f"cannot log {path}: no such file; write it first")
        self._store.client.log_artifact(self.run_id, str(path), folder)

    def checkpoint(self, folder: Path, epoch: int, metrics: Mapping[str, float]) -> None:
        """Keep the model in `folder` (`model.safetensors`, `model.json`) as a model of its own, with its metrics."""
        client = self._store.client
        digest = sha256_of(folder / WEIGHTS)
        tags = {**self._tags, "weights_sha256": digest, "epoch": str(epoch)}
        model_id = log_model(
            self._store, folder, network_files(folder), f"epoch-{epoch}", "checkpoint", self.run_id, tags
        )
        client.log_outputs(self.run_id, [LoggedModelOutput(model_id, epoch)])
        self._log(metrics, epoch, model_id)
        client.set_tag(self.run_id, "weights_sha256", digest)

    @contextmanager
    def nested(
        self, name: str, settings: object, *, stopped_by: tuple[type[BaseException], ...] = ()
    ) -> Iterator[StageRun]:
        """Open a run within this one; an exception of `stopped_by` ends it as KILLED and not as FAILED."""
        tags = {**self._tags, "kind": "nested"}
        with _running(self._store, name, settings, tags, self.run_id, stopped_by) as run:
            yield run

    def _log(self, values: Mapping[str, float], step: int, model_id: str | None) -> None:
        wrong = {key: value for key, value in values.items() if not isinstance(value, (int, float, np.number))}
        if wrong:
            raise TypeError(f"metrics must be numbers, got {wrong}: leave out what was not measured")
        now = int(time.time() * 1000)
        batch = []
        for key, value in values.items():
            # A point logged twice, for the run and for its model, keeps its time: the curve then has it once.
            last = self._logged.get((key, step))
            stamp = now if last is None else last.timestamp if last.value == value else max(now, last.timestamp + 1)
            metric = Metric(key, float(value), stamp, step, model_id=model_id, run_id=self.run_id)
            self._logged[key, step] = metric
            batch.append(metric)
        self._store.client.log_batch(self.run_id, metrics=batch)


@contextmanager
def stage_run(
    stage: str,
    scale: str,
    settings: object,
    *,
    root: Path = Path(),
    datasets: Mapping[str, Path] | None = None,
    system_metrics: bool = False,
) -> Iterator[StageRun]:
    """Record a stage: its settings, versions and data at the start, its fate at the end.

    `settings` is a dataclass or a mapping, `datasets` names the folders and files that the stage reads. An exception
    ends the run as FAILED, Ctrl-C as KILLED, and both go on. `system_metrics` samples processor, memory and GPU in a
    thread every ten seconds: not for a stage that forks.
    """
    datasets = datasets or {}
    store = open_store(root)
    git = git_state(root)
    identities = {name: dataset_identity(path, root) for name, path in datasets.items()}
    tags = {
        "kind": "stage",
        "stage": stage,
        "scale": scale,
        "git_commit": git.commit,
        "git_dirty": str(git.dirty).lower(),
        **{name.lower(): value for name, value in dvc_environment().items()},
        **{f"dataset.{name}": identity for name, identity in identities.items()},
        **Worker.current().tags(),
    }
    with lock_of(root):
        close_dead_runs(store)
        pipeline = _pipeline_run(store, tags)
    status = "FAILED"
    try:
        with _running(store, stage, settings, tags, pipeline, ()) as run:
            store.client.log_inputs(run.run_id, datasets=_inputs(datasets, identities, stage))
            with _sampled(run.run_id, tracking_uri(root), system_metrics):
                yield dataclasses.replace(run, _pipeline=pipeline)
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        store.client.set_terminated(pipeline, status)


@contextmanager
def _running(
    store: Store,
    name: str,
    settings: object,
    tags: Mapping[str, str],
    parent: str,
    stopped_by: tuple[type[BaseException], ...],
) -> Iterator[StageRun]:
    client = store.client
    run_tags = {**tags, **_mlflow_tags(tags), "mlflow.parentRunId": parent}
    run_id = client.create_run(store.experiment_id, tags=run_tags, run_name=name).info.run_id
    try:
        client.log_batch(run_id, params=[Param(key, value) for key, value in _flat(settings).items()])
        yield StageRun(run_id, store, tags)
    except BaseException as error:
        client.set_tag(run_id, "ended_by", f"{type(error).__name__}: {error}"[:500])
        client.set_terminated(run_id, "KILLED" if isinstance(error, (KeyboardInterrupt, *stopped_by)) else "FAILED")
        raise
    client.set_terminated(run_id, "FINISHED")


@contextmanager
def _sampled(run_id: str, uri: str, wanted: bool) -> Iterator[None]:
    if not wanted:
        yield
        return
    monitor = SystemMetricsMonitor(run_id, tracking_uri=uri)
    monitor.start()
    try:
        yield
    finally:
        monitor.finish()


def _mlflow_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags that MLflow's own pages have columns for."""
    return {
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": f"lensdream {tags['stage']}",
        "mlflow.source.git.commit": tags["git_commit"],
    }


def _flat(settings: object, prefix: str = "") -> dict[str, str]:
    """Nested dataclasses and mappings as dotted names."""
    if settings is None:
        return {}
    if dataclasses.is_dataclass(settings):
        settings = {item.name: getattr(settings, item.name) for item in dataclasses.fields(settings)}
    if not isinstance(settings, Mapping):
        return {prefix.rstrip("."): str(settings)}
    return {key: text for name, value in settings.items() for key, text in _flat(value, f"{prefix}{name}.").items()}


def _inputs(datasets: Mapping[str, Path], identities: Mapping[str, str], stage: str) -> list[DatasetInput]:
    def entity(name: str, path: Path) -> Dataset:
        # The database keeps 36 characters: all of DVC's digest, the first ones of a sha256.
        digest = identities[name].rpartition(":")[2][:36]
        return Dataset(name, digest, "local", json.dumps({"uri": path.as_posix()}))

    context = [InputTag("mlflow.data.context", stage)]
    return [DatasetInput(entity(name, path), context) for name, path in datasets.items()]


def _pipeline_run(store: Store, tags: Mapping[str, str]) -> str:
    """Find or make the run above all stages of a scale, code version and DVC experiment, and set it to RUNNING."""
    keys = ("scale", "git_commit", "git_dirty", "dvc_exp_name")
    wanted = {"kind": "pipeline", **{key: tags.get(key, "none") for key in keys}}
    found = next(search_runs(store, **wanted), None)
    if found is not None:
        store.client.update_run(found.info.run_id, status="RUNNING")
        return found.info.run_id
    run_tags = {**wanted, **_mlflow_tags({**tags, "stage": "pipeline"})}
    run = store.client.create_run(store.experiment_id, tags=run_tags, run_name=f"pipeline {tags['scale']}")
    return run.info.run_id


def close_dead_runs(store: Store) -> None:
    """Mark as KILLED the runs that the database has as running, but whose process has ended; the pipelines above them too."""
    for run in search_runs(store, "attributes.status = 'RUNNING'"):
        worker = Worker.from_tags(run.data.tags)
        if worker is not None and worker.is_dead():
            store.client.set_tag(run.info.run_id, "ended_by", "the process vanished")
            store.client.set_terminated(run.info.run_id, "KILLED")
    for pipeline in search_runs(store, "attributes.status = 'RUNNING'", kind="pipeline"):
        below = list(search_runs(store, f"tags.mlflow.parentRunId = '{pipeline.info.run_id}'"))
        if below and all(run.info.status != "RUNNING" for run in below):  # one without any is about to get its first
            store.client.set_terminated(pipeline.info.run_id, "KILLED")
