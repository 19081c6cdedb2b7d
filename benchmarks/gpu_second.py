"""Train DeepLensNet on a machine that has PyTorch and a GPU but none of SkyPy, MLflow and DVC, in two steps.

`draw` renders the scenes whose tables `passing_scenes.py` wrote on another machine. `train` does what `lensdream train --recipe
deep` would do with them, for as many epochs as fit into `--seconds`; that number then belongs into `params.yaml`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from gpu import Untracked, epochs_within
from lensdream.commands.paths import Paths
from lensdream.commands.timings import Clock, write_timing
from lensdream.commands.training import Job, fit_and_record
from lensdream.config import SimulateConfig, load
from lensdream.dataset.labelled import LabelledImages
from lensdream.instrument import N_BANDS
from lensdream.networks.cascade import passes_gate
from lensdream.networks.model_file import load_model
from lensdream.render.batch import frame_of, in_chunks, stored
from lensdream.render.renderer import Renderer
from lensdream.runtime.provenance import git_state
from lensdream.scene import Scenes
from lensdream.train import second_stage_data
from lensdream.train.recipes import DEEP

SCALE = "poster"
TASK = 128
"""scenes of one task"""
_worker: dict[str, object] = {}


def main() -> None:
    """Run the step that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    draw = commands.add_parser("draw")
    draw.add_argument("--workers", type=int, default=15)
    draw.add_argument("scenes", type=Path, nargs="+", help="folders of tables; each becomes a file of images")
    draw.set_defaults(run=_draw)
    train = commands.add_parser("train")
    train.add_argument("--seconds", type=float, default=400.0)
    train.add_argument("--root", type=Path, default=Path("gpu"), help="where models and metrics go (default gpu)")
    train.add_argument(
        "--counts", type=Path, required=True, help="JSON of the lenses and non-lenses drawn, those not let through too"
    )
    train.set_defaults(run=_train)
    for command in (draw, train):
        command.add_argument("--images-in", type=Path, default=Path("gpu/images"))
        command.add_argument("--device", default="cuda", help="cpu tries the script out, and draws on processes")
    arguments = parser.parse_args()
    arguments.run(arguments)


def _draw(arguments: argparse.Namespace) -> None:
    settings = load("simulate", SimulateConfig, SCALE)
    arguments.images_in.mkdir(parents=True, exist_ok=True)
    for folder in arguments.scenes:
        started = time.perf_counter()
        scenes = Scenes.load(folder)
        n, side = len(scenes), settings.stamp
        images = np.lib.format.open_memmap(
            arguments.images_in / f"{folder.name}.npy", "w+", np.float16, (n, N_BANDS, side, side)
        )
        starts = range(0, n, TASK)
        tasks = (scenes.take(slice(start, start + TASK)) for start in starts)
        if arguments.device == "cpu":
            # forked before torch has computed anything here, so that no import is paid for twice
            with get_context("fork").Pool(arguments.workers, _start, (settings, "cpu")) as pool:
                _fill(images, starts, pool.imap(_render, tasks))
        else:
            _start(dataclasses.replace(settings, chunk=256), arguments.device)
            _fill(images, starts, map(_render, tasks))
        np.save(arguments.images_in / f"{folder.name}-labels", scenes.scenes["label"].to_numpy(np.float32))
        seconds = time.perf_counter() - started
        print(
            f"{folder.name}: {n} images in {seconds:.0f} s, {n / seconds:.0f} a second, {arguments.device}", flush=True
        )


def _fill(images: np.ndarray, starts: range, parts: object) -> None:
    for start, part in zip(starts, parts, strict=True):
        images[start : start + len(part)] = part
    images.flush()


def _start(settings: SimulateConfig, device: str) -> None:
    torch.set_num_threads(1)
    _worker.update(renderer=Renderer(frame_of(settings), device=device), chunk=settings.chunk)


def _render(scenes: Scenes) -> np.ndarray:
    return np.concatenate([stored(part) for part in in_chunks(_worker["renderer"], scenes, _worker["chunk"])])


def _train(arguments: argparse.Namespace) -> None:
    clock = Clock()
    torch.backends.cudnn.benchmark = True
    first = load_model(Paths(SCALE).model).to(arguments.device, memory_format=torch.channels_last)
    names = sorted(path.stem.removesuffix("-labels") for path in arguments.images_in.glob("*-labels.npy"))
    train = [_shown(first, name, arguments) for name in names if not name.startswith("validation")]
    (validation,) = (_let_through(first, name, arguments) for name in names if name.startswith("validation"))
    images, labels = torch.cat([part.images for part in train]), torch.cat([part.labels for part in train])
    weights, counts = torch.cat([part.weights for part in train]), json.loads(arguments.counts.read_text())
    data = LabelledImages(
        images, labels, torch.where(labels == 1, weights, weights * counts["lenses"] / counts["non_lenses"])
    )
    stamp = images.shape[-1]
    del train, images
    n_lens = int(labels.sum())
    print(f"{n_lens} lenses, {len(labels) - n_lens} non-lenses, {len(validation)} validate", flush=True)
    settings = DEEP.read_settings(SCALE, Path("params.yaml"))
    epochs = epochs_within(clock.started + arguments.seconds, DEEP, data, validation)
    settings = dataclasses.replace(settings, fit=dataclasses.replace(settings.fit, epochs=epochs))
    more = {"lenses": n_lens, "non_lenses": len(data) - n_lens, "validation_images": len(validation)}
    job = Job(DEEP, settings, partial(DEEP.build, settings.network), data, validation, more_metrics=more)
    paths = Paths(SCALE, arguments.root)
    fit_and_record(job, paths, Untracked(), stamp, clock)
    write_timing(paths, job.recipe.stage, clock, git_state(Path()))


def _shown(first: torch.nn.Module, name: str, arguments: argparse.Namespace) -> LabelledImages:
    images, labels = _read(name, arguments)
    weights = second_stage_data.training_weights(first, images, labels, arguments.device)
    return LabelledImages(images[(weights > 0).to(images.device)], labels[weights > 0], weights[weights > 0])


def _let_through(first: torch.nn.Module, name: str, arguments: argparse.Namespace) -> LabelledImages:
    images, labels = _read(name, arguments)
    through = passes_gate(first, images, arguments.device)
    return LabelledImages(images[through.to(images.device)], labels[through])


def _read(name: str, arguments: argparse.Namespace) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.from_numpy(np.load(arguments.images_in / f"{name}.npy")).to(arguments.device)
    return images, torch.from_numpy(np.load(arguments.images_in / f"{name}-labels.npy"))


if __name__ == "__main__":
    main()
