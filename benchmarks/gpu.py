"""Rates of one GPU: rendering, training and scoring a second, and whole trainings within a time.

`speed` prints one JSON object: images a second, and how far the GPU's images are from the CPU's. `train` trains a network of
`lensdream.train.recipes` on a store, for as many epochs as fit into `--seconds`, and writes what `lensdream train` would, but
for MLflow's runs: with `--root .` in place. Its number of epochs then belongs into `params.yaml`. Neither needs MLflow, SkyPy
or DVC: machines with a GPU often have PyTorch alone. `render` draws the store from a table of scenes, on processes.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from lensdream.commands.paths import Paths
from lensdream.commands.timings import Clock, write_timing
from lensdream.commands.training import Job, fit_and_record
from lensdream.config import SimulateConfig, load
from lensdream.dataset.labelled import LabelledImages
from lensdream.dataset.store import ImageStore
from lensdream.dataset.write import write_store
from lensdream.instrument import EUCLID, N_BANDS
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.predict import predict
from lensdream.render.batch import frame_of, in_chunks, measurements, stored, truth_masks
from lensdream.render.renderer import Renderer
from lensdream.runtime.provenance import git_state
from lensdream.scene import Scenes
from lensdream.train.loop import fit
from lensdream.train.recipes import LENSNET, OU66, RECIPES, Recipe

GPU = "cuda"
SCALE = "poster"
NETWORKS = [LENSNET.block, OU66.block]
"""recipes that train on labelled images alone"""
CALIBRATION = 16_384
"""images of the short training by which the time of an epoch is estimated"""
MARGIN = 0.92
"""share of the time that is planned for"""


class Untracked:
    """Run without a record."""

    def metrics(self, *_: object, **__: object) -> None:
        """Discard the metrics."""

    tags = figure = checkpoint = metrics


def main() -> None:
    """Run the command line's benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    render = commands.add_parser("render")
    render.add_argument("--workers", type=int, default=16)
    render.set_defaults(run=_render)
    speed = commands.add_parser("speed")
    speed.add_argument("--images", type=int, default=CALIBRATION)
    speed.set_defaults(run=_speed)
    train = commands.add_parser("train")
    train.add_argument("--network", choices=NETWORKS, default="ou66")
    train.add_argument("--seconds", type=float, default=240.0)
    train.set_defaults(run=_train)
    for command in (render, speed, train):
        command.add_argument("--scenes", type=Path, default=Paths(SCALE).scenes)
        command.add_argument("--images-in", type=Path, default=Paths(SCALE).images)
        command.add_argument("--root", type=Path, default=Path("gpu"), help="where models and metrics go (default gpu)")
        command.add_argument("--device", default=GPU, help="cpu tries the script out (default cuda)")
    arguments = parser.parse_args()
    arguments.run(arguments)


def _simulation() -> SimulateConfig:
    return load("simulate", SimulateConfig, SCALE)


def _render(arguments: argparse.Namespace) -> None:
    started = time.perf_counter()
    scenes = Scenes.load(arguments.scenes)
    write_store(scenes, dataclasses.replace(_simulation(), workers=arguments.workers), arguments.images_in)
    seconds = time.perf_counter() - started
    print(
        f"{len(scenes)} images in {seconds:.0f} s on {arguments.workers} processes, {len(scenes) / seconds:.0f} a second"
    )


def _speed(arguments: argparse.Namespace) -> None:
    device, n = torch.device(arguments.device), arguments.images
    torch.backends.cudnn.benchmark = True
    found: dict[str, object] = {
        "device": torch.cuda.get_device_name() if device.type == GPU else "cpu",
        "torch": torch.__version__,
    }
    scenes, frame = Scenes.load(arguments.scenes).take(slice(0, 1024)), frame_of(_simulation())
    renderer = Renderer(frame, device=arguments.device)
    for chunk in (32, 256):
        some = scenes.take(slice(0, 4 * chunk))
        for _ in range(2):  # the first warms up
            seconds = _timed(lambda some=some, chunk=chunk: _drawn(renderer, some, chunk), device)
        found[f"rendered_images_per_second_in_chunks_of_{chunk}"] = len(some) / seconds
    some = scenes.take(slice(0, 64))
    ours, reference = renderer.render(some).noiseless.cpu(), Renderer(frame).render(some).noiseless
    sky = torch.tensor(EUCLID.sky_sigma).view(1, -1, 1, 1)
    found["worst_difference_from_cpu_in_sky_sigma"] = float(((ours - reference).abs() / sky).max())
    images = torch.randn(n, N_BANDS, 80, 80, device=device).half() * 0.01
    data = LabelledImages(images, (torch.arange(n) % 2).float())
    few = LabelledImages(images[:1024], data.labels[:1024])
    for name in NETWORKS:
        recipe = RECIPES[name]
        settings = recipe.read_settings(SCALE, Path("params.yaml"))
        build = partial(recipe.build, settings.network)
        last = fit(build, dataclasses.replace(settings.fit, epochs=2), data, few).records[-1]
        found[f"{name}_trained_images_per_second_in_batches_of_{settings.fit.batch_size}"] = last.images_per_second
        model = build().to(device, memory_format=torch.channels_last)
        for _ in range(2):
            seconds = _timed(lambda model=model: predict(model, images, 512, device), device)
        found[f"{name}_scored_images_per_second"] = n / seconds
    model = LensNet(LensNetConfig()).to(device, memory_format=torch.channels_last)
    in_memory = images.cpu()
    seconds = _timed(lambda: predict(model, in_memory, 512, device), device)
    found["lensnet_scored_images_per_second_from_memory"] = n / seconds
    print(json.dumps(found, indent=2))


def _drawn(renderer: Renderer, scenes: Scenes, chunk: int) -> None:
    for rendered in in_chunks(renderer, scenes, chunk):
        stored(rendered), truth_masks(rendered), measurements(rendered)


def _timed(work: Callable[[], object], device: torch.device) -> float:
    started = time.perf_counter()
    work()
    if device.type == GPU:
        torch.cuda.synchronize()
    return time.perf_counter() - started


def _train(arguments: argparse.Namespace) -> None:
    clock = Clock()
    torch.backends.cudnn.benchmark = True
    recipe = RECIPES[arguments.network]
    settings = recipe.read_settings(SCALE, Path("params.yaml"))
    if settings.hard_negatives or settings.fresh_scenes:
        raise SystemExit(f"{arguments.network} asks for fresh scenes, which this script does not draw")
    store = ImageStore.open(arguments.images_in)
    train, validation = (_on(LabelledImages.from_store(store, split), arguments) for split in ("train", "validation"))
    epochs = epochs_within(clock.started + arguments.seconds, recipe, train, validation)
    settings = dataclasses.replace(settings, fit=dataclasses.replace(settings.fit, epochs=epochs))
    job = Job(recipe, settings, partial(recipe.build, settings.network), train, validation)
    paths = Paths(SCALE, arguments.root)
    fit_and_record(job, paths, Untracked(), store.stamp, clock)
    write_timing(paths, job.recipe.stage, clock, git_state(Path()))


def _on(data: LabelledImages, arguments: argparse.Namespace) -> LabelledImages:
    return dataclasses.replace(data, images=data.images.to(arguments.device))


def epochs_within(end: float, recipe: Recipe, train: LabelledImages, validation: LabelledImages) -> int:
    """Number of epochs, at least one, that fit until `end` of `time.perf_counter`."""
    epoch = _epoch_seconds(recipe, train, validation)
    left = end - time.perf_counter()
    n = max(1, int(MARGIN * left / epoch))
    print(f"{recipe.title}: {epoch:.1f} s an epoch, {left:.0f} s left: {n} epochs", flush=True)
    return n


def _epoch_seconds(recipe: Recipe, train: LabelledImages, validation: LabelledImages) -> float:
    """Seconds of an epoch, by a short training that is thrown away."""
    some = LabelledImages(train.images[:CALIBRATION], train.labels[:CALIBRATION])
    settings = recipe.read_settings(SCALE, Path("params.yaml"))
    build = partial(recipe.build, settings.network)
    records = fit(build, dataclasses.replace(settings.fit, epochs=2), some, validation).records
    last = records[-1]
    return len(train) / last.images_per_second + last.seconds - len(some) / last.images_per_second


if __name__ == "__main__":
    main()
