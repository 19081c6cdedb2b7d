"""State of an unfinished job on disk, so that a killed one resumes."""

from __future__ import annotations

from pathlib import Path

import torch

from lensdream.runtime.files import replaced_whole


def save(path: Path, state: dict) -> None:
    """Write a state, whose `identity` names its job; an older file stays whole until the new one is."""
    with replaced_whole(path) as part:
        torch.save(state, part)


def load(path: Path | None, identity: str) -> dict | None:
    """Read the state at a path, if it is of this job; tensors are read from the file when they are used."""
    if path is None or not path.is_file():
        return None
    state = torch.load(path, weights_only=True, mmap=True)
    return state if state["identity"] == identity else None
