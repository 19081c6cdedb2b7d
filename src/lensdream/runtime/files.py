"""Files, written whole or not at all, and their digests."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)
"""numbers of the errors of a full disk, and of a full quota"""
NUMPY_FULL = re.compile(r"Not enough free space|\d+ requested and \d+ written")
"""beginning of numpy's errors of a full disk, which have no number"""
ALMOST_FULL = 2**20
"""free space below which another write without an error number has failed for want of it [byte]"""


@contextmanager
def replaced_whole(path: Path) -> Iterator[Path]:
    """Context of a part file that takes the place of `path` at its end; an error or an interrupt leaves the older file.

    The folder is made if missing. The part is synced before it is renamed: without that, a power cut leaves an empty file
    under the new name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    try:
        yield part
        _sync(part)
        part.replace(path)
    except OSError as error:
        full = is_full(error, path.parent)  # before the part makes room
        part.unlink(missing_ok=True)
        if full:
            raise OSError(
                errno.ENOSPC,
                f"the disk is full: free some space and run again; {path} was not written",
                str(path.parent),
            ) from error
        raise
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    with suppress(OSError):  # some file systems sync no folders
        _sync(path.parent)


def is_full(error: OSError, folder: Path) -> bool:
    """Whether an error is that of a full disk; where it has neither a number nor numpy's words, the disk is asked."""
    if error.errno is not None:
        return error.errno in FULL
    return NUMPY_FULL.match(str(error)) is not None or shutil.disk_usage(folder).free < ALMOST_FULL


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, and its folder if missing; an interrupted write leaves the older file."""
    with replaced_whole(path) as part:
        part.write_bytes(content)


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
