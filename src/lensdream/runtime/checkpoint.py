"""State of an unfinished job on disk, so that a killed one resumes."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import torch

from lensdream.runtime.files import write_whole


def save(path: Path, state: dict) -> None:
    """Write a state, whose `identity` names its job; an older file stays whole until the new one is."""
    content = io.BytesIO()
    torch.save(state, content)  # not to the file: torch's error of a full disk is a RuntimeError that does not say so
    write_whole(path, content.getvalue())


def load(path: Path | None, identity: str) -> dict | None:
    """Read the state at a path, if it is of this job; tensors are read from the file when they are used.

    A file that cannot be read is named on stderr and ignored: the job begins anew and writes over it.
    """
    if path is None or not path.is_file():
        return None
    try:
        # never a pickle: `weights_only` makes tensors and plain containers, and runs nothing that a file names
        state = torch.load(path, weights_only=True, mmap=True)
        if not isinstance(state, dict) or "identity" not in state:
            raise ValueError("no state of a job")
    except (PermissionError, MemoryError):  # the file may be sound
        raise
    except Exception as error:  # torch raises any kind on damaged bytes
        print(
            f"warning: {path} is damaged or no checkpoint ({type(error).__name__}): it is ignored and written anew",
            file=sys.stderr,
            flush=True,
        )
        return None
    return state if state["identity"] == identity else None
