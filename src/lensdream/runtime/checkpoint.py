"""State of an unfinished job on disk, so that a killed one resumes."""

from __future__ import annotations

import os
from pathlib import Path

import torch


def save(path: Path, state: dict) -> None:
    """Write a state, whose `identity` names its job; an older file stays whole until the new one is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save(state, part)
    os.replace(part, path)


def load(path: Path | None, identity: str) -> dict | None:
    """Read the state at a path, if it is of this job; tensors are read from the file when they are used."""
    if path is None or not path.is_file():
        return None
    state = torch.load(path, weights_only=True, mmap=True)
    return state if state["identity"] == identity else None
