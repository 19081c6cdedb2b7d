"""`lensdream dataset check`: compare every file of an image store with its manifest."""

from __future__ import annotations

import sys
from pathlib import Path

from lensdream.dataset.check import problems
from lensdream.dataset.store import ImageStore


def run(folder: str) -> int:
    """Print every problem of an image store; returns 1 for a broken one."""
    found = problems(Path(folder))
    for problem in found:
        print(f"lensdream: {problem}", file=sys.stderr)
    if found:
        return 1
    store = ImageStore.open(Path(folder))
    print(f"{len(store)} images in {len(store.manifest['sha256'])} files, all as the manifest says")
    return 0
