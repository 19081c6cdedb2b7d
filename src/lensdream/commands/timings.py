"""How long the stages took: `artifacts/<scale>/timings.json`, beside the metrics in git, which two runs repeat to the byte."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from lensdream.commands.paths import Paths
from lensdream.runtime.files import write_json
from lensdream.runtime.only_one import only_one
from lensdream.runtime.provenance import GitState, device, git_state

if TYPE_CHECKING:
    from lensdream.tracking.runs import StageRun


@dataclass
class Clock:
    """Clock of a stage, which starts when it is made."""

    started: float = field(default_factory=time.perf_counter)
    earlier: float = 0.0
    """duration of the interrupted run that this one resumes [s]"""
    images_per_second: float | None = None
    """speed of the stage's main work; None where it has no images"""

    @property
    def seconds(self) -> float:
        """Time so far, with the interrupted run's [s]."""
        return self.earlier + time.perf_counter() - self.started

    @contextmanager
    def counting(self, images: int) -> Iterator[None]:
        """Measure the speed of what is done within, on this many images."""
        began = time.perf_counter()
        yield
        self.images_per_second = images / (time.perf_counter() - began)

    def measured(self) -> dict[str, float]:
        """`seconds`, and `images_per_second` where there is a speed."""
        speed = {} if self.images_per_second is None else {"images_per_second": round(self.images_per_second, 1)}
        return {"seconds": round(self.seconds, 1), **speed}


@contextmanager
def timed_run(
    stage: str,
    scale: str,
    settings: object,
    *,
    root: Path = Path(),
    datasets: Mapping[str, Path] | None = None,
    clock: Clock | None = None,
    prefix: str = "",
) -> Iterator[StageRun]:
    """`tracking.stage_run` of a stage that, where it succeeds, records its duration in MLflow and in `timings.json`.

    Raises `BlockingIOError` while another process runs the same stage of the scale.

    clock: made before the run where work goes before it; prefix: of the names in MLflow, where curves have them already.
    """
    from lensdream import tracking  # MLflow takes seconds to import, and machines that only train do without

    clock = Clock() if clock is None else clock
    git = git_state(root)
    own = Paths(scale, root).lock(stage)
    with (
        only_one(own, f"{stage} of the scale {scale}"),
        tracking.stage_run(stage, scale, settings, root=root, datasets=datasets) as run,
    ):
        yield run
        run.metrics({f"{prefix}{name}": value for name, value in clock.measured().items()})
    write_timing(Paths(scale, root), stage, clock, git)


def write_timing(paths: Paths, stage: str, clock: Clock, git: GitState) -> None:
    """Write a stage's entry in the scale's `timings.json`, beside those of the other stages."""
    path = paths.timings
    path.parent.mkdir(parents=True, exist_ok=True)
    entry = clock.measured() | {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": f"{git.commit}-dirty" if git.dirty else git.commit,
        "device": device(),
    }
    with FileLock(path.with_suffix(".lock")):  # stages may run at the same time
        write_json(path, timings_of(paths.scale, paths.root) | {stage: entry})


def timings_of(scale: str, root: Path = Path()) -> dict[str, dict[str, float | str]]:
    """Timings of the last run of each stage of a scale that has run here; empty for a missing or damaged file.

    Keys of a stage: `seconds` from its start to its end, imports aside, `images_per_second` where it has a speed, `finished`
    (ISO 8601, UTC), `commit`, with `-dirty` after it where the code was another, and `device`.
    """
    try:
        found = json.loads(Paths(scale, root).timings.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) and all(isinstance(entry, dict) for entry in found.values()) else {}
