"""Database of MLflow and its folder of artefacts: paths, opening, searches and logged models."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import shutil
import sqlite3
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import mlflow.pyfunc
import numpy as np
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec

from lensdream.instrument import N_BANDS
from lensdream.networks.layout import POINTS, SETTINGS, SURVEY_POINTS, WEIGHTS, part_files
from lensdream.runtime.provenance import repository_root

# MLflow reads this variable when it is imported.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

# MLflow logs every table that it makes.
logging.getLogger("mlflow").setLevel(logging.ERROR)

EXPERIMENT = "lensdream"

MODEL_FOLDER = Path("data", "network")
"""folder of weights, settings and operating points inside a logged model"""

_LOADER = "lensdream.serving"
"""module that MLflow imports to load a model; not imported here, as it imports packages that use this one"""

_SIGNATURE = ModelSignature(
    inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, N_BANDS, -1, -1))]),
    outputs=Schema(
        [
            ColSpec(DataType.double, "logit"),
            ColSpec(DataType.double, "probability"),
            ColSpec(DataType.boolean, "above_fpr_1e-3", required=False),
            ColSpec(DataType.double, "compound_probability", required=False),
        ]
    ),
)

_LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)
"""columns of MLflow's database that hold absolute paths"""


@dataclass(frozen=True)
class Store:
    """An open database."""

    client: MlflowClient
    experiment_id: str


def folder_of(root: Path) -> Path:
    """Folder of everything that MLflow keeps for the repository at `root`."""
    return repository_root(root) / "mlruns"


def database_of(root: Path) -> Path:
    """Path of MLflow's database, which may not exist yet."""
    return folder_of(root) / "mlflow.db"


def tracking_uri(root: Path = Path()) -> str:
    """Address of the database, for `mlflow.set_tracking_uri` in a notebook."""
    return f"sqlite:///{database_of(root)}"


def lock_of(root: Path) -> FileLock:
    """Lock between processes around a look-up and the entry that is made after it."""
    return FileLock(folder_of(root) / "lock")


def open_store(root: Path) -> Store:
    """Open the database, made if missing.

    Under a lock: MLflow's migrations fail when two processes run them on one new file.
    """
    folder_of(root).mkdir(parents=True, exist_ok=True)
    artifacts = (folder_of(root) / "artifacts").as_uri()
    # The registry looks up models by MLflow's global address, whatever the client's is; unset, that is a new file here.
    mlflow.set_tracking_uri(tracking_uri(root))
    with lock_of(root):
        client = MlflowClient(tracking_uri(root), tracking_uri(root))
        experiment = client.get_experiment_by_name(EXPERIMENT)
        if experiment is None:
            _allow_readers_beside_a_writer(database_of(root))
            return Store(client, client.create_experiment(EXPERIMENT, artifacts))
        if experiment.artifact_location != artifacts:
            _follow_move(database_of(root), experiment.artifact_location, artifacts)
        if experiment.lifecycle_stage == "deleted":
            client.restore_experiment(experiment.experiment_id)
        return Store(client, experiment.experiment_id)


def _allow_readers_beside_a_writer(database: Path) -> None:
    # The file keeps the mode. A server that holds it may refuse: slower then, but right.
    with closing(sqlite3.connect(database)) as connection, suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA journal_mode = WAL")


def _follow_move(database: Path, old: str, new: str) -> None:
    """Correct the absolute paths in the database of a repository that was moved or copied."""
    with closing(sqlite3.connect(database, timeout=20)) as connection, connection:
        for table, column in _LOCATIONS:
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
                (new, len(old) + 1, len(old), old),
            )


def search_runs(store: Store, *conditions: str, **tags: str) -> Iterator[Run]:
    """Find the runs with these tags that meet these conditions in MLflow's language, newest first."""
    query = " and ".join([*conditions, *(f"tags.{key} = '{value}'" for key, value in tags.items())])
    token = None
    while True:
        page = store.client.search_runs(
            [store.experiment_id], query, max_results=200, order_by=["attributes.start_time DESC"], page_token=token
        )
        yield from page
        token = page.token
        if not token:
            return


def network_files(folder: Path) -> list[Path]:
    """Weights and settings of the network in `folder`; raises `FileNotFoundError` without them."""
    files = [folder / name for name in (WEIGHTS, SETTINGS)]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise FileNotFoundError(f"no {' and no '.join(missing)} in {folder}: run the train stage first")
    return files


def model_files(folder: Path) -> list[Path]:
    """Files of the model in `folder` and, where they were measured, its operating points.

    Raises `FileNotFoundError` without weights or settings.
    """
    network_files(folder)
    names = (*part_files(folder), POINTS, SURVEY_POINTS)
    return [folder / name for name in names if (folder / name).is_file()]


def log_model(
    store: Store, folder: Path, files: Sequence[Path], name: str, kind: str, run_id: str | None, tags: Mapping[str, str]
) -> str:
    """Store the model in `folder` in the generic format that MLflow loads by `lensdream.serving`; returns its id."""
    requirements = [
        f"{package}=={importlib.metadata.version(package)}" for package in ("torch", "safetensors", "pandas")
    ]
    model = store.client.create_logged_model(
        store.experiment_id, name, source_run_id=run_id, tags=dict(tags), model_type=kind
    )
    status = "FAILED"
    try:
        with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
            # MLflow asks for an example of the input, which would be larger than the model.
            warnings.simplefilter("ignore")
            source = Path(scratch, MODEL_FOLDER.name)
            for file in files:
                target = source / file.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
            package = Path(scratch, "model")
            mlflow.pyfunc.save_model(
                str(package),
                loader_module=_LOADER,
                data_path=str(source),
                signature=_SIGNATURE,
                pip_requirements=requirements,
            )
            store.client.log_model_artifacts(model.model_id, str(package))
        status = "READY"
    finally:
        store.client.finalize_logged_model(model.model_id, status)
    return model.model_id
