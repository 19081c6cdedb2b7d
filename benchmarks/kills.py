"""Kills of the pipeline in the middle of its work, and whether the next `dvc repro` ends with the uninterrupted result.

A small copy of the pipeline (tiny_pipeline.py) is run once to its end. Then, as often as asked, all outputs are removed, `dvc
repro` is started and killed at a time of its own, in turn: the stage by SIGKILL and by SIGINT, DVC by SIGKILL, both by SIGKILL
and by SIGINT, and DVC while it writes dvc.lock. `dvc repro` is called again until it ends with 0, three times at most; where a
cut-off lock is refused, `git checkout dvc.lock` comes first. Every output in the lock must then have the md5 of
the uninterrupted run.
Run: python benchmarks/kills.py FOLDER [--kills 20] [--seed 1] [--first 0]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil

import tiny_pipeline

KINDS = ("stage SIGKILL", "stage SIGINT", "dvc SIGKILL", "both SIGKILL", "both SIGINT", "dvc while it writes dvc.lock")
OUTPUTS = ("artifacts", "figures", "metrics/quick", "manifests", "models/quick", "reports")
REMEDY = "git checkout dvc.lock"
CUT_OFF = (REMEDY, "dvc.lock' validation failed", "dvc.lock' is invalid")
"""messages, ours and DVC's, of a lock that was cut off"""
LONGEST = 3600
"""seconds after which a run is given up"""


def main() -> int:
    """Kill, repeat and compare; returns 1 if a result differs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("folder", type=Path, help="folder for the copy of the pipeline, made if missing")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1, help="of the times of the kills")
    parser.add_argument("--first", type=int, default=0, help="number of the first kill, to go on where a run was ended")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    wanted, seconds = uninterrupted(folder)
    times = np.random.default_rng(arguments.seed).uniform(0.02, 0.98, arguments.kills) * seconds
    rows = []
    for number, at in list(enumerate(times))[arguments.first :]:
        row = killed(folder, KINDS[number % len(KINDS)], float(at)) | {"number": number}
        found = tiny_pipeline.outputs(folder)
        row["different"] = sorted(path for path in wanted if found.get(path) != wanted[path])
        row["equal"] = row["ended"] and not row["different"]
        rows.append(row)
        print(
            f"{number:3d}  {row['kind']:29s} at {row['at']:6.1f} s in {row['stage']:22s} "
            f"{row['calls']} more: {'equal' if row['equal'] else row['different'] or 'not ended'}",
            flush=True,
        )
    equal = sum(row["equal"] for row in rows)
    print(json.dumps({"kills": len(rows), "equal": equal, "seconds_uninterrupted": round(seconds), "rows": rows}))
    return 0 if equal == len(rows) else 1


def uninterrupted(folder: Path) -> tuple[dict[str, str], float]:
    """Make the repository and run it to its end, if that was not done; returns the md5 of every output, and the time."""
    record = folder.with_name(f"{folder.name}.seconds")
    if not record.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        tiny_pipeline.make(folder)
        tiny_pipeline.run("dvc", "pull", "--quiet", "data.dvc", cwd=folder)
        started = time.perf_counter()
        tiny_pipeline.run("dvc", "repro", cwd=folder)
        record.write_text(str(time.perf_counter() - started))
        tiny_pipeline.commit(folder, "results")
    tiny_pipeline.run("git", "checkout", "--quiet", "dvc.lock", cwd=folder)
    return tiny_pipeline.outputs(folder), float(record.read_text())


def killed(folder: Path, kind: str, at: float) -> dict[str, object]:
    """Remove all outputs, run, kill, and run again until the end."""
    for name in OUTPUTS:
        shutil.rmtree(folder / name, ignore_errors=True)
    log = folder.with_name(f"{folder.name}.log")
    with log.open("w") as file:
        process = subprocess.Popen(["dvc", "repro"], cwd=folder, stdout=file, stderr=file, start_new_session=True)
        stage = _kill(process, kind, at, folder / "dvc.lock")
        process.wait(LONGEST)
    calls, ended = 0, False
    while not ended and calls < 3:
        calls += 1
        done = subprocess.run(
            ["dvc", "repro"], cwd=folder, capture_output=True, text=True, check=False, timeout=LONGEST
        )
        ended = done.returncode == 0
        with log.open("a") as file:
            file.write(done.stdout + done.stderr)
        if any(message in done.stdout + done.stderr for message in CUT_OFF):
            subprocess.run(REMEDY.split(), cwd=folder, check=True)
        if not ended:
            time.sleep(5)  # for a stage that outlived DVC
    return {"kind": kind, "at": round(at, 1), "stage": stage, "calls": calls, "ended": ended}


def _kill(process: subprocess.Popen, kind: str, at: float, lock: Path) -> str:
    """Kill at a time, or at the first write of the lock after it; returns the stage that ran."""
    deadline = time.monotonic() + at
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    dvc = psutil.Process(process.pid)
    stage = _stage(dvc)
    if kind.startswith("dvc while"):
        size = lock.stat().st_size
        while process.poll() is None and lock.stat().st_size == size:
            pass
        os.kill(process.pid, signal.SIGKILL)
    elif kind.startswith("both"):
        os.killpg(process.pid, getattr(signal, kind.split()[1]))
    else:
        target = dvc if kind.startswith("dvc") else _stage_process(dvc) or dvc
        target.send_signal(getattr(signal, kind.split()[1]))
    return stage


def _stage_process(dvc: psutil.Process) -> psutil.Process | None:
    """First process of lensdream below DVC's."""
    for child in dvc.children(recursive=True):
        if any("lensdream" in part for part in child.cmdline()):
            return child
    return None


def _stage(dvc: psutil.Process) -> str:
    try:
        found = _stage_process(dvc)
        return " ".join(found.cmdline()[2:]).replace(" --scale quick", "") if found else "none"
    except psutil.NoSuchProcess:
        return "none"


if __name__ == "__main__":
    sys.exit(main())
