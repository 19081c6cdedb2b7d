"""Provenance of a result: repository, commit, DVC's experiment, digest of the data, process and device at work."""

from __future__ import annotations

import hashlib
import os
import platform
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import yaml

from lensdream.runtime.files import sha256_of

DVC_VARIABLES = ("DVC_EXP_NAME", "DVC_EXP_BASELINE_REV", "DVC_STAGE")
"""variables that DVC sets for the commands that it runs"""

_EXPERIMENT_FOLDERS = (".dvc", "tmp", "exps")
_OUTPUTS = ("dvc.lock", "manifests", "metrics", "figures", "models", "reports", "artifacts", "mlruns")


def repository_root(root: Path) -> Path:
    """Absolute path of the repository that `root` belongs to.

    `dvc exp run --temp` and `--queue` work in a copy under `.dvc/tmp/exps/` and delete it; what must outlive
    them belongs into the repository itself.
    """
    path = root.resolve()
    parts = path.parts
    for start in range(len(parts) - len(_EXPERIMENT_FOLDERS)):
        if parts[start : start + len(_EXPERIMENT_FOLDERS)] == _EXPERIMENT_FOLDERS:
            return Path(*parts[:start])
    return path


def dvc_environment() -> dict[str, str]:
    """Variables of DVC in this process by their names, `DVC_VARIABLES`; empty outside of DVC."""
    return {name: os.environ[name] for name in DVC_VARIABLES if os.environ.get(name)}


@dataclass(frozen=True)
class GitState:
    """Version of the code."""

    commit: str
    """hash of HEAD; 'none' without git or a commit"""
    dirty: bool
    """whether inputs differ from the commit; files that stages write do not count"""


def git_state(root: Path) -> GitState:
    """Version of the code in `root`.

    The pipeline's own outputs do not make it dirty, nor does the `params.yaml` that `dvc exp run -S` rewrites.
    """
    commit = git(root, "rev-parse", "--verify", "HEAD")
    if commit is None:
        return GitState("none", dirty=False)
    ignored = (*_OUTPUTS, "params.yaml") if "DVC_EXP_NAME" in dvc_environment() else _OUTPUTS
    changes = git(root, "status", "--porcelain", "--", ".", *(f":(exclude){name}" for name in ignored))
    return GitState(commit, dirty=bool(changes))


def git(root: Path, *arguments: str) -> str | None:
    """Output of a git command; None where git is absent or fails."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def dataset_identity(path: Path, root: Path) -> str:
    """Identify the data at `path`, as `kind:digest`.

    `sha256:` of the file or of the folder's `manifest.json`, which has the digests of the folder's files in it; else
    `dvc-unverified:` the digest that `dvc.lock` holds for exactly this path, whatever lies there by now; else `listing:` the
    digest of a folder's file names and sizes; `missing` where there is nothing.
    """
    for file in (path, path / "manifest.json"):
        if file.is_file():
            return f"sha256:{sha256_of(file)}"
    digest = _locked_digest(path, root)
    if digest is not None:
        return f"dvc-unverified:{digest}"
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        listing = "\n".join(f"{file.relative_to(path)} {file.stat().st_size}" for file in files)
        return f"listing:{hashlib.sha256(listing.encode()).hexdigest()}"
    return "missing"


def _locked_digest(path: Path, root: Path) -> str | None:
    lock = root / "dvc.lock"
    if not lock.is_file() or not path.exists():
        return None
    # abspath and not resolve: DVC may have linked the output into its cache.
    wanted = Path(os.path.relpath(os.path.abspath(path), os.path.abspath(root))).as_posix()
    stages = (yaml.safe_load(lock.read_text()) or {}).get("stages") or {}
    outputs = (output for stage in stages.values() for output in stage.get("outs") or [])
    return next((output["md5"] for output in outputs if output["path"] == wanted and "md5" in output), None)


def lock_digest(root: Path) -> str | None:
    """Hex md5 of `dvc.lock`, which pins every input and output of the pipeline; None without one."""
    lock = root / "dvc.lock"
    return hashlib.md5(lock.read_bytes(), usedforsecurity=False).hexdigest() if lock.is_file() else None


def device() -> str:
    """Cores that this process may use, model of the processor and, where there is one, of the GPU."""
    import torch  # takes a second to import, and is there in every stage

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpu = [torch.cuda.get_device_name()] if torch.cuda.is_available() else []
    return ", ".join([f"{cores} cores", _processor(), *gpu])


def _processor() -> str:
    try:
        about = Path("/proc/cpuinfo").read_text()
    except OSError:  # no Linux
        about = ""
    models = (line.partition(":")[2].strip() for line in about.splitlines() if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())


@dataclass(frozen=True)
class Worker:
    """A process: its start time distinguishes it from a later one of the same number."""

    host: str
    pid: int
    started: int
    """[s since 1970]"""

    @classmethod
    def current(cls) -> Worker:
        """The process that calls."""
        return cls(socket.gethostname(), os.getpid(), int(psutil.Process().create_time()))

    @classmethod
    def from_tags(cls, tags: Mapping[str, str]) -> Worker | None:
        """Read a process from `tags`; None where they lack it."""
        try:
            return cls(tags["host"], int(tags["pid"]), int(tags["process_started"]))
        except KeyError:
            return None

    def tags(self) -> dict[str, str]:
        """Host, number and start time as text."""
        return {"host": self.host, "pid": str(self.pid), "process_started": str(self.started)}

    def is_dead(self) -> bool:
        """Whether the process has surely ended; of another host's processes nothing is sure."""
        if self.host != socket.gethostname():
            return False
        try:
            return abs(psutil.Process(self.pid).create_time() - self.started) > 2
        except psutil.NoSuchProcess:
            return True
