"""`lensdream ui`: serve the MLflow pages of all runs on this machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lensdream import tracking


def run(port: int, root: Path = Path()) -> int:
    """Serve the pages until Ctrl-C; returns the server's exit code."""
    print(f"MLflow at http://127.0.0.1:{port} (Ctrl-C ends it)", flush=True)
    return subprocess.run(tracking.ui_command(root, port), check=False).returncode
