"""`lensdream dataset diff`: say what differs between two versions of a data set, revisions of git or files."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from lensdream.dataset.describe import describe_images, describe_scenes
from lensdream.dataset.description import IMAGES, SCENES, Description, DescriptionError, parsed
from lensdream.dataset.difference import TOLERANCE, differences, verdict
from lensdream.dataset.store import MANIFEST
from lensdream.runtime.provenance import git

DIFFERS = 1
STAGE_OF = {SCENES: "population", IMAGES: "simulate"}


def run(one: str, other: str, scale: str = "quick", tolerance: float = TOLERANCE, root: Path = Path()) -> int:
    """Print what differs between two versions; returns 1 where something does.

    Each is a file that `population` or `simulate` wrote, the folder of a data set, or a revision of git, whose manifests of the
    scale are compared: scenes first, then images. Raises `ValueError` for what is neither.
    """
    if not 0 <= tolerance < 1:
        raise ValueError(f"--tolerance {tolerance}: give a share of a quantile in [0, 1)")
    pairs = _pairs(one, other, scale, root)
    differ = False
    for before, after in pairs:
        found = differences(before, after, tolerance)
        told = verdict(before, after)
        differ |= told != "equal"
        print(f"{before.of}: {told}")
        print("".join(f"  {line}\n" for line in found), end="")
    return DIFFERS if differ else 0


def _pairs(one: str, other: str, scale: str, root: Path) -> list[tuple[Description, Description]]:
    named = [Path(name).exists() for name in (one, other)]
    if all(named):
        return [(_described(Path(one)), _described(Path(other)))]
    if any(named):
        revision = other if named[0] else one
        raise DescriptionError(
            f"{revision} is no file or folder: compare two files, two folders, or two revisions of git"
        )
    return [(_committed(one, what, scale, root), _committed(other, what, scale, root)) for what in (SCENES, IMAGES)]


def _described(path: Path) -> Description:
    """Description of a manifest file, or of the data set in a folder."""
    if path.is_file():
        return parsed(path.read_bytes(), str(path))
    return describe_images(path) if (path / MANIFEST).is_file() else describe_scenes(path)


def _committed(revision: str, what: str, scale: str, root: Path) -> Description:
    """Description of the scenes or images of a scale at a revision, with the digests of the code that drew them."""
    name = f"manifests/{scale}/{what}.json"
    found = parsed(_shown(revision, name, root), f"{name} of {revision}")
    try:
        code = json.loads(_shown(revision, f"manifests/code/{STAGE_OF[what]}.json", root))
    except ValueError:
        return found
    return dataclasses.replace(found, code=code) if isinstance(code, dict) else found


def _shown(revision: str, name: str, root: Path) -> bytes:
    """Content of a file at a revision; raises `DescriptionError` for an unknown one, and where the file is not there."""
    commit = git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if commit is None:
        raise DescriptionError(
            f"{revision!r} is neither a file, nor a folder, nor a revision of git in {root.resolve()}"
        )
    content = git(root, "show", f"{commit}:./{name}")
    if content is None:
        raise DescriptionError(f"{revision} has no {name}: its data were not described yet, or the scale is another")
    return content.encode()
