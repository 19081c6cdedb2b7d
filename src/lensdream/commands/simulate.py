"""`lensdream simulate`: render the tables of scenes into an image store, and describe it."""

from __future__ import annotations

from pathlib import Path

from lensdream import config
from lensdream.commands.paths import Paths
from lensdream.commands.timings import Clock, timed_run
from lensdream.config import SimulateConfig
from lensdream.dataset.describe import describe_images
from lensdream.dataset.write import write_store
from lensdream.runtime.files import write_json
from lensdream.runtime.provenance import repository_root
from lensdream.scene import Scenes


def run(scale: str, root: Path = Path()) -> None:
    """Render every scene of a scale, and write the images' description for git and `metrics/<scale>/simulate.json`."""
    settings = config.load("simulate", SimulateConfig, scale, root / "params.yaml")
    paths = Paths(scale, root)
    clock, scenes = Clock(), Scenes.load(paths.scenes)
    datasets = {"scenes": paths.scenes}
    with timed_run("simulate", scale, settings, root=root, datasets=datasets, clock=clock) as run:
        with clock.counting(len(scenes)):
            size = write_store(scenes, settings, paths.images, _images_of_the_repository(paths))
        describe_images(paths.images, settings, scenes.components).write(paths.manifest("images"))
        metrics = {"n": len(scenes), "bytes": size}
        write_json(paths.metrics("simulate"), metrics)
        run.metrics(metrics)
        run.artifact(paths.manifest("images"), "manifests")
    print(
        f"{metrics['n']} images in {clock.seconds:.0f} s, {clock.images_per_second:.1f} a second, {size / 1e9:.2f} GB"
    )


def _images_of_the_repository(paths: Paths) -> Path | None:
    """Images in the repository itself, where this is a copy of it that `dvc exp run --temp` or `--queue` made."""
    above = repository_root(paths.root)
    return None if above == paths.root.resolve() else Paths(paths.scale, above).images
