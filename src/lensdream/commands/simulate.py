"""`lensdream simulate`: render the tables of scenes into an image store."""

from __future__ import annotations

import time
from pathlib import Path

from lensdream import config, tracking
from lensdream.commands.paths import Paths
from lensdream.config import SimulateConfig
from lensdream.dataset.write import write_store
from lensdream.runtime.files import write_json
from lensdream.scene import Scenes


def run(scale: str, root: Path = Path()) -> None:
    """Render every scene of a scale and write `metrics/<scale>/simulate.json`."""
    settings = config.load("simulate", SimulateConfig, scale, root / "params.yaml")
    paths = Paths(scale, root)
    scenes = Scenes.load(paths.scenes)
    with tracking.stage_run("simulate", scale, settings, root=root, datasets={"scenes": paths.scenes}) as run:
        started = time.perf_counter()
        size = write_store(scenes, settings, paths.images)
        seconds = time.perf_counter() - started
        metrics = {
            "n": len(scenes),
            "seconds": round(seconds, 1),
            "images_per_second": round(len(scenes) / seconds, 1),
            "bytes": size,
        }
        write_json(paths.metrics("simulate"), metrics)
        run.metrics(metrics)
    print(f"{metrics['n']} images in {seconds:.0f} s, {metrics['images_per_second']} a second, {size / 1e9:.2f} GB")
