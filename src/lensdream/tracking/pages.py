"""MLflow's pages: how to serve them, and the addresses of runs on them."""

from __future__ import annotations

import sys
from pathlib import Path

from lensdream.runtime.provenance import dvc_environment
from lensdream.tracking.store import database_of, folder_of, open_store, search_runs, tracking_uri

HOST = "127.0.0.1"
PORT = 5000


def ui_command(root: Path = Path(), port: int = PORT) -> list[str]:
    """Command line that serves MLflow's pages on this machine only; the database is made if missing."""
    open_store(root)
    environment = ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false", "MLFLOW_DISABLE_TELEMETRY=true"]
    storage = [
        "--backend-store-uri",
        tracking_uri(root),
        "--artifacts-destination",
        (folder_of(root) / "artifacts").as_uri(),
    ]
    # Without job execution one worker needs a third of the memory.
    server = [sys.executable, "-m", "mlflow", "server", *storage, "--host", HOST, "--port", str(port), "--workers", "1"]
    return ["env", *environment, *server]


def run_url(experiment_id: str, run_id: str, port: int = PORT) -> str:
    """Address of a run's page while `ui_command` serves it."""
    return f"http://{HOST}:{port}/#/experiments/{experiment_id}/runs/{run_id}"


def stage_links(scale: str, root: Path = Path(), port: int = PORT) -> dict[str, str]:
    """Address of the newest finished run of each stage; empty without a database, which is not made.

    Within a DVC experiment the runs are the experiment's, outside of one those of none.
    """
    if not database_of(root).is_file():
        return {}
    store = open_store(root)
    links: dict[str, str] = {}
    experiment = dvc_environment().get("DVC_EXP_NAME")
    for run in search_runs(store, "attributes.status = 'FINISHED'", kind="stage", scale=scale):
        if run.data.tags.get("dvc_exp_name") == experiment:
            links.setdefault(run.data.tags["stage"], run_url(store.experiment_id, run.info.run_id, port))
    return links
