"""Compare designs of the finder at equal processor time; prints a table and one JSON object last.

Every design takes LensNet's input, through its transform, with its recipe (`train` in params.yaml), and as many
images as its speed allows in the same minutes of each thread, each of them as often: a slow network gets fewer. Each is
measured on the store's test split. Speeds are by the processor's time. Training is `lensdream.train.fit`, so the results
are those of `lensdream train`.
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
from torch import Tensor, nn
from torchvision.models import resnet18

from lensdream import config
from lensdream.commands.paths import Paths
from lensdream.config import Fit, LensNetConfig, Training
from lensdream.dataset.labelled import LabelledImages
from lensdream.dataset.store import ImageStore
from lensdream.instrument import N_BANDS, Band
from lensdream.metrics import auroc, tpr_at_fpr
from lensdream.networks.input import CenterCrop, InputTransform
from lensdream.networks.lensnet import LensNet, ResidualBlock
from lensdream.networks.predict import predict
from lensdream.runtime.allocator import keep_freed_memory
from lensdream.train.loop import fit

TIMED_STEPS = 12
"""timed training steps of a design, after as many to warm up"""
WHOLE_STAMP = 1024
"""pixels of a crop that holds a whole stamp"""
NEAR_INFRARED = [band for band in Band if band is not Band.VIS]

Build = Callable[[LensNetConfig], nn.Module]


class Galaxy(nn.Module):
    """Network with LensNet's crop and input transform, a stack of layers, mean and maximum of their maps, one logit."""

    def __init__(self, layers: nn.Module, channels: int, settings: LensNetConfig) -> None:
        super().__init__()
        self.middle = CenterCrop(settings.middle_pixels)
        self.transform = InputTransform()
        self.layers = layers
        self.dropout = nn.Dropout(settings.dropout)
        self.head = nn.Linear(2 * channels, 1)

    def forward(self, images: Tensor) -> Tensor:
        """(B, band, y, x) [microjansky a pixel] -> lens logits (B,)."""
        maps = self.layers(self.transform(self.middle(images)))
        return self.head(self.dropout(torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1)))[:, 0]


class TwoBranches(nn.Module):
    """Two branches, VIS and near infrared, each a stem and a block, joined at a quarter of the side."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.vis = nn.Sequential(*conv(2, half, 5, 2), ResidualBlock(half, half, 1), ResidualBlock(half, width, 2))
        self.nir = nn.Sequential(
            *conv(2 * len(NEAR_INFRARED), half, 5, 2), ResidualBlock(half, half, 1), ResidualBlock(half, width, 2)
        )
        self.both = nn.Sequential(ResidualBlock(2 * width, 4 * width, 2), ResidualBlock(4 * width, 4 * width, 2))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2 band, y, x) -> (B, 4 width, y / 16, x / 16)."""
        near_infrared = [band + offset for offset in (0, N_BANDS) for band in NEAR_INFRARED]
        vis, nir = self.vis(x[:, [Band.VIS, N_BANDS + Band.VIS]]), self.nir(x[:, near_infrared])
        return self.both(torch.cat([vis, nir], 1))


class Fovea(nn.Module):
    """Two inputs, the whole stamp at half resolution and its center crop at full resolution, joined after the second block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.wide = nn.Sequential(*conv(2 * N_BANDS, width, 5, 2), ResidualBlock(width, 2 * width, 2))
        self.middle = nn.Sequential(*conv(2 * N_BANDS, width, 3, 1), ResidualBlock(width, 2 * width, 2))
        self.both = nn.Sequential(ResidualBlock(4 * width, 4 * width, 2), ResidualBlock(4 * width, 4 * width, 2))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2 band, y, x) -> (B, 4 width, y / 16, x / 16)."""
        quarter = [side // 4 for side in x.shape[-2:]]
        middle = x[..., quarter[0] : -quarter[0], quarter[1] : -quarter[1]]
        return self.both(torch.cat([self.wide(x), self.middle(middle)], 1))


def conv(channels_in: int, channels: int, size: int, stride: int, groups: int = 1) -> list[nn.Module]:
    """Convolution with normalisation and ReLU."""
    layer = nn.Conv2d(channels_in, channels, size, stride, size // 2, groups=groups, bias=False)
    return [layer, nn.BatchNorm2d(channels), nn.ReLU()]


def plain(settings: LensNetConfig) -> nn.Module:
    """Block at half resolution and LensNet's convolutions, without shortcuts."""
    w = settings.width
    widths = ((w, w, 1), (w, 2 * w, 2), (2 * w, 4 * w, 2), (4 * w, 4 * w, 2))
    layers = conv(2 * N_BANDS, w, 5, 2)
    for before, after, stride in widths:
        layers += conv(before, after, 3, stride) + conv(after, after, 3, 1)
    return Galaxy(nn.Sequential(*layers), 4 * w, settings)


def residual(settings: LensNetConfig, times: float = 1.0, fine: float = 1.0) -> nn.Module:
    """LensNet with one more block, at half resolution and `fine` of its width; all blocks `times` as wide."""
    w = round(times * settings.width)
    stem = round(fine * w)
    layers, channels = conv(2 * N_BANDS, stem, 5, 2), stem
    for after, stride in ((stem, 1), (2 * w, 2), (4 * w, 2), (4 * w, 2)):
        layers.append(ResidualBlock(channels, after, stride))
        channels = after
    return Galaxy(nn.Sequential(*layers), channels, settings)


def deeper(settings: LensNetConfig) -> nn.Module:
    """LensNet with a block at half resolution and a second one at each of its two coarsest scales."""
    w = settings.width
    blocks = ((w, w, 1), (w, 2 * w, 2), (2 * w, 4 * w, 2), (4 * w, 4 * w, 1), (4 * w, 4 * w, 2), (4 * w, 4 * w, 1))
    layers = conv(2 * N_BANDS, w, 5, 2) + [ResidualBlock(*block) for block in blocks]
    return Galaxy(nn.Sequential(*layers), 4 * w, settings)


def depthwise(settings: LensNetConfig) -> nn.Module:
    """Separable 3x3 convolutions, one a channel and one across channels; twice the width."""
    w = 2 * settings.width
    widths = ((w, w, 1), (w, 2 * w, 2), (2 * w, 2 * w, 1), (2 * w, 4 * w, 2), (4 * w, 4 * w, 1), (4 * w, 4 * w, 2))
    layers = conv(2 * N_BANDS, w, 5, 2)
    for before, after, stride in widths:
        layers += conv(before, before, 3, stride, groups=before) + conv(before, after, 1, 1)
    return Galaxy(nn.Sequential(*layers), 4 * w, settings)


def torchvision_resnet(settings: LensNetConfig) -> nn.Module:
    """ResNet-18 of torchvision with random weights and a first layer for our channels."""
    network = resnet18()
    network.conv1 = nn.Conv2d(2 * N_BANDS, 64, 7, 2, 3, bias=False)
    return Galaxy(nn.Sequential(*list(network.children())[:-2]), 512, settings)


DESIGNS: dict[str, Build] = {
    "plain": plain,
    "LensNet": LensNet,
    "whole images": lambda settings: LensNet(dataclasses.replace(settings, middle_pixels=WHOLE_STAMP)),
    "a block at half resolution": residual,
    "wider": lambda settings: residual(settings, 1.5),
    "narrower": lambda settings: residual(settings, 0.5),
    "three quarters of its width": lambda settings: residual(settings, fine=0.75),
    "half of its width": lambda settings: residual(settings, fine=0.5),
    "deeper": deeper,
    "two branches": lambda s: Galaxy(TwoBranches(s.width), 4 * s.width, s),
    "fovea": lambda s: Galaxy(Fovea(s.width), 4 * s.width, s),
    "depthwise": depthwise,
    "ResNet-18": torchvision_resnet,
}


def main() -> None:
    """Train and measure each design in turn; finished ones are in `--out` if the rest is cut off."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", default="quick", help="whose images and recipe (default quick)")
    parser.add_argument("--minutes", type=float, default=5.0, help="of training a design (default 5)")
    parser.add_argument("--epochs", type=int, default=4, help="of as many images as the minutes allow (default 4)")
    parser.add_argument(
        "--threads", type=int, help="two runs of one share a machine of two cores (default as in params.yaml)"
    )
    parser.add_argument("--designs", nargs="+", default=list(DESIGNS), choices=DESIGNS, metavar="NAME")
    parser.add_argument("--out", type=Path, help="JSON file to keep results in; designs found there are not run again")
    arguments = parser.parse_args()
    keep_freed_memory()
    settings = config.load("lensnet", Training, arguments.scale)
    threads = arguments.threads or settings.fit.threads
    recipe = dataclasses.replace(settings.fit, threads=threads, epochs=arguments.epochs)
    torch.set_num_threads(threads)
    store = ImageStore.open(Paths(arguments.scale).images)
    validation, test = (LabelledImages.from_store(store, split) for split in ("validation", "test"))
    found = json.loads(arguments.out.read_text()) if arguments.out and arguments.out.is_file() else {}
    for name in arguments.designs:
        if name in found:
            continue
        build = partial(DESIGNS[name], settings.network)
        found[name] = measure(build, recipe, arguments.minutes * 60, store, validation, test)
        print(f"{name:20}", "  ".join(f"{key} {value:.4g}" for key, value in found[name].items()), flush=True)
        if arguments.out:
            arguments.out.write_text(json.dumps(found, indent=2))
    print(table(found))
    print(json.dumps(found, indent=2))


def table(found: dict[str, dict[str, float]]) -> str:
    """Table of the designs in Markdown, best first."""
    heads = ("design", "weights", "images", "training images/s", "scored images/s", "AUROC", "completeness at FPR 1e-2")
    lines = [f"| {' | '.join(heads)} |", "|---|" + "---:|" * (len(heads) - 1)]
    for name, row in sorted(found.items(), key=lambda item: -item[1]["auroc"]):
        lines.append(
            f"| {name} | {row['parameters']:,} | {row['images']:,} | {row['training_images_per_second']:.0f} | "
            f"{row['scored_images_per_second']:.0f} | {row['auroc']:.3f} | {row['tpr_at_fpr_1e-2']:.3f} |"
        )
    return "\n".join(lines)


def measure(
    build: Callable[[], nn.Module], settings: Fit, seconds: float, store: ImageStore, validation: LabelledImages,
    test: LabelledImages,
) -> dict[str, float]:  # fmt: skip
    """Train a design for a time and measure it on the test images."""
    speed = images_per_second(build, settings, validation)
    train = LabelledImages.from_store(store, "train", round(seconds * speed / settings.epochs))
    recipe = dataclasses.replace(settings, warmup_epochs=min(settings.warmup_epochs, settings.epochs / 4))
    started = time.process_time()
    result = fit(build, recipe, train, validation)
    spent = time.process_time() - started
    model = result.model.to(memory_format=torch.channels_last)
    began = time.process_time()
    logits = predict(model, test.images).numpy()
    scoring = len(test) * settings.threads / (time.process_time() - began)
    labels = test.labels.numpy()
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "training_images_per_second": speed,
        "images": len(train),
        "processor_seconds": spent,
        "scored_images_per_second": scoring,
        "validation_loss": result.records[result.best_epoch].validation_loss,
        "auroc": auroc(logits, labels),
        "tpr_at_fpr_1e-2": tpr_at_fpr(logits, labels, 1e-2),
        "tpr_at_fpr_1e-3": tpr_at_fpr(logits, labels, 1e-3),
    }


def images_per_second(build: Callable[[], nn.Module], settings: Fit, train: LabelledImages) -> float:
    """Images a second of training, over a few steps; by processor time, so that other processes do not count."""
    chosen = torch.linspace(0, len(train) - 1, settings.batch_size * TIMED_STEPS).long()  # of both labels
    few, recipe = LabelledImages(train.images[chosen], train.labels[chosen]), dataclasses.replace(settings, epochs=2)
    half = LabelledImages(few.images[::2], few.labels[::2])  # as many training images are measured with it
    fit(build, recipe, few, half)  # layers choose their kernels
    began = time.process_time()
    fit(build, recipe, few, half)
    return recipe.epochs * len(few) * settings.threads / (time.process_time() - began)


if __name__ == "__main__":
    main()
