"""Check of DVC's locks: DVC writes them in place, so a kill at that moment leaves the first stages alone, a valid file.

Without the lost stages DVC would run them all again, trainings of hours among them.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from lensdream.runtime.provenance import git


def lost_stages(root: Path) -> dict[str, list[str]]:
    """Stages that a lock in `root` has in the last commit and no longer on disk, by lock; only those that dvc.yaml still has.

    Empty without git, for a lock that is not there at all, and for one that git does not have.
    """
    found = {}
    for lock in [root / "dvc.lock", *sorted(root.glob("scales/*/dvc.lock"))]:
        name = lock.relative_to(root).as_posix()
        before = _whole_stages(git(root, "show", f"HEAD:./{name}") or "") if lock.is_file() else []
        if not before:
            continue
        known = set(_stages(lock.with_name("dvc.yaml").read_text())) if lock.with_name("dvc.yaml").is_file() else set()
        now = set(_whole_stages(lock.read_text()))
        lost = [stage for stage in before if stage not in now and stage.partition("@")[0] in known]
        if lost:
            found[name] = lost
    return found


def require_whole(root: Path) -> None:
    """Raise `ValueError` that names the lost stages of the locks in `root`, and the remedy."""
    for name, stages in lost_stages(root).items():
        raise ValueError(
            f"{name} lacks {', '.join(stages)}, which it had in the last commit: it was cut off while DVC wrote it. Run `git "
            f"checkout {name}` and then the pipeline again; results that have changed since are made again"
        )


def _whole_stages(lock: str) -> list[str]:
    """Names of the stages in a lock whose entry reaches its outputs, which stand last."""
    return [name for name, entry in _stages(lock).items() if "outs" in (entry or {})]


def _stages(text: str) -> dict[str, dict | None]:
    """Stages in a lock or in dvc.yaml, by name; none where the text was cut off in the middle of a line."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    return (document or {}).get("stages") or {} if isinstance(document, dict | None) else {}
