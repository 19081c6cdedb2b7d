"""`lensdream run`: say what the pipeline of a scale will run and how long that took last time, then run it by DVC."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from lensdream.commands import code
from lensdream.commands.dvc_files import file_of
from lensdream.commands.timings import timings_of

REASONS = {
    "changed deps": "inputs, code or settings",
    "changed outs": "outputs missing or altered",
    "changed command": "command",
}


@dataclass(frozen=True)
class Planned:
    """Stage that will run, or that will if the stages before it give other results."""

    name: str
    reason: str
    """empty for one that waits for the results before it"""
    seconds: float | None
    """of its last run here"""


def run(scale: str, root: Path = Path(), *, dry: bool = False) -> int:
    """Print the plan of a scale, and run it unless `dry`; returns DVC's exit code.

    Raises `FileNotFoundError` for data that are in DVC's store and not yet in the folder, before anything runs.
    """
    code.run(root)
    print(told(planned(scale, root), scale), flush=True)
    if dry:
        return 0
    if absent := absent_data(root):
        raise FileNotFoundError(f"{', '.join(absent)} is not there: run `dvc pull`, then this command again")
    command = [sys.executable, "-m", "dvc", "repro", str(file_of(scale, root).relative_to(root))]
    return subprocess.run(command, cwd=root, env=os.environ | {"DVC_NO_ANALYTICS": "1"}, check=False).returncode


def planned(scale: str, root: Path) -> list[Planned]:
    """Stages of a scale that have changed, and those after them, in the order of the pipeline."""
    import networkx
    from dvc.repo import Repo

    file, seconds = str(file_of(scale, root)), timings_of(scale, root)
    with Repo(str(root)) as repo:
        stages = {stage.addressing: stage for stage in repo.stage.collect(file)}
        changed = {name: _reason(what) for name, what in repo.status(targets=[file]).items()}
        graph = repo.index.graph
        changed = {name: why for name, why in changed.items() if name in stages and why}
        after = {
            before.addressing
            for name in changed
            for before in networkx.ancestors(graph, stages[name])  # DVC's arrows lead from a stage to what it needs
        }
        order = [stage.addressing for stage in networkx.dfs_postorder_nodes(graph)]
    return [
        Planned(stages[name].name, changed.get(name, ""), seconds.get(_command(stages[name].cmd), {}).get("seconds"))
        for name in order
        if name in stages and (name in changed or name in after)
    ]


def absent_data(root: Path) -> list[str]:
    """Files and folders that a `.dvc` file names and that are not there."""
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        outputs = [out for stage in repo.index.stages if stage.is_data_source for out in stage.outs]
        return [str(out) for out in outputs if not out.exists]


def _command(cmd: str) -> str:
    """Name that a stage's run has: `train`, `train-compound`, `survey-test`."""
    from lensdream.train.recipes import RECIPES

    words = cmd.split()
    return RECIPES[words[words.index("--recipe") + 1]].stage if "--recipe" in words else words[1]


def _reason(status: list) -> str:
    """Why a stage will run, of DVC's status; empty for one that always runs."""
    kinds = [kind for each in status if isinstance(each, dict) for kind in each]
    kinds += [each for each in status if isinstance(each, str)]
    return ", ".join(REASONS[kind] for kind in kinds if kind in REASONS)


def told(plan: list[Planned], scale: str) -> str:
    """Table of the plan."""
    if not plan:
        return f"{scale}: nothing has changed"
    width = max(len(stage.name) for stage in plan)
    lines = [f"{scale}: {len(plan)} stages will run, those without a reason only if the results before them change"]
    lines += [f"  {each.name:{width}s}  {duration(each.seconds):>18s}  {each.reason}".rstrip() for each in plan]
    known = [each.seconds for each in plan if each.seconds is not None]
    if known:
        lines.append(f"  {'all that ran before':{width}s}  {duration(sum(known)):>18s}")
    return "\n".join(lines)


def duration(seconds: float | None) -> str:
    """Text of a time in words of two units."""
    if seconds is None:
        return "never run here"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
