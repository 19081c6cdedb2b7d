"""One process at a time for a job: a lock that the system releases when its holder ends, however that comes about."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from lensdream.runtime.files import write_json


@contextmanager
def only_one(path: Path, job: str) -> Iterator[None]:
    """Hold the lock of a job; raises `BlockingIOError` that names the process that does it already.

    DVC that was killed leaves the stage's own process at work: the next `dvc repro` must not start the stage beside it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    holder = path.with_suffix(".json")
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise BlockingIOError(f"{job} runs already{_told(holder)}: wait for its end, or end it by `kill`") from None
    try:
        started = datetime.now(UTC).isoformat(timespec="seconds")
        write_json(holder, {"process": os.getpid(), "started": started})
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _told(holder: Path) -> str:
    """Number and start of the process that holds a lock, where it has written them."""
    try:
        found = json.loads(holder.read_bytes())
        return f", as process {found['process']} since {found['started']}"
    except (OSError, ValueError, LookupError, TypeError):
        return ""
