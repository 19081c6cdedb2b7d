"""Files, written whole or not at all, and their digests."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, and its folder if missing; an interrupted write leaves the older file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: object) -> None:
    """Write a value as indented JSON; a NaN becomes null, as JSON has none."""
    write_whole(path, (json.dumps(without_nan(value), indent=2, allow_nan=False) + "\n").encode())


def without_nan(value: object) -> object:
    """Nested dictionaries and lists of the same values, with None, JSON's null, for every NaN."""
    if isinstance(value, dict):
        return {key: without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(entry) for entry in value]
    return None if isinstance(value, float) and value != value else value


def sha256_of(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
