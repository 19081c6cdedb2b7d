"""`lensdream ui`: serve the MLflow pages of all runs on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from lensdream import tracking


def run(port: int, root: Path = Path()) -> None:
    """Serve the pages until Ctrl-C or a `kill`: the server takes the place of this process, and its exit code is the server's.

    Raises `FileNotFoundError` outside of a repository, where there are no runs.
    """
    if not (root / "params.yaml").is_file():
        raise FileNotFoundError(
            f"no params.yaml in {root.resolve()}: run from the repository's root, whose runs are served"
        )
    command = tracking.ui_command(root, port)
    print(f"MLflow at http://127.0.0.1:{port} (Ctrl-C ends it)", flush=True)
    os.execvp(command[0], command)
