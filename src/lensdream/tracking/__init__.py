"""Tracking with MLflow: runs, checkpoints and the registry of models; the only package that imports MLflow.

Everything lies in the repository's `mlruns/`: the SQLite file `mlflow.db` and the folder `artifacts/`. Every stage is
one run of the experiment `lensdream`, nested under the run `pipeline <scale>` of its commit.
"""

from lensdream.tracking.pages import run_url, stage_links, ui_command
from lensdream.tracking.registry import RegisteredVersion, has_champion, pull, register
from lensdream.tracking.runs import StageRun, stage_run
from lensdream.tracking.store import tracking_uri

__all__ = [
    "RegisteredVersion",
    "StageRun",
    "has_champion",
    "pull",
    "register",
    "run_url",
    "stage_links",
    "stage_run",
    "tracking_uri",
    "ui_command",
]
