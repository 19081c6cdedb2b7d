"""A trained network on disk: `model.safetensors` (weights) and `model.json` (shape, bands, units), no pickles.

Large tensors are stored in float16, which halves the file. What is measured of a network is measured after it was read back.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from lensdream.instrument import Band
from lensdream.networks.layout import SETTINGS, WEIGHTS, is_model
from lensdream.networks.predict import predict
from lensdream.networks.registry import networks
from lensdream.runtime.files import write_json, write_whole

SMALLEST_HALF = 8192
"""numbers of the smallest tensor that is stored in float16. First layers, norms, biases and constants have fewer: rounding
these changes logits most (the first convolution of OU-66 by 0.023, all the rest of it by 0.006) and would save nothing"""
LARGEST_CHANGE = 0.02
"""of a logit, by rounding; a network that changes by more is stored in float32"""


def save_model(
    folder: Path,
    model: nn.Module,
    stamp: int,
    images_trained_on: int | None = None,
    training_odds: float | None = None,
    *,
    training: Mapping[str, object] | None = None,
    round_weights: bool = True,
) -> None:
    """Write weights and settings of a network of this package; each file appears whole or not at all.

    stamp: side of its images [pixel]; training_odds: label-1 images for every label-0 image in its training; training: its
    recipe, seed, epochs and best epoch; round_weights: whether large tensors are written in float16, as `rounded` does. The
    network itself stays as it is.
    """
    settings = {
        "network": type(model).__name__,
        "config": dataclasses.asdict(model.config),
        "bands": [band.name for band in Band],
        "unit": "microjansky a pixel",
        "pixel_scale_arcsec": 0.1,
        "stamp": stamp,
        "images_trained_on": images_trained_on,
    }
    settings |= {} if training is None else {"training": dict(training)}
    settings |= {} if training_odds is None else {"training_odds": training_odds}
    state = rounded(model.state_dict()) if round_weights else model.state_dict()
    write_whole(folder / WEIGHTS, safetensors.torch.save({name: tensor.contiguous() for name, tensor in state.items()}))
    write_json(folder / SETTINGS, settings)


def rounded(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights by name, those in float16 that lose little by it.

    These are float32 tensors of at least `SMALLEST_HALF` numbers, none of them beyond the largest of float16.
    """
    largest = torch.finfo(torch.float16).max

    def is_rounded(tensor: Tensor) -> bool:
        large = tensor.dtype == torch.float32 and tensor.numel() >= SMALLEST_HALF
        return large and bool(tensor.abs().max() <= largest)

    return {name: tensor.half() if is_rounded(tensor) else tensor for name, tensor in state.items()}


def logit_change(one: nn.Module, other: nn.Module, images: Tensor) -> float:
    """Largest change of a logit between two networks, on images (N, band, y, x) [microjansky a pixel]."""
    return float((predict(one, images) - predict(other, images)).abs().max())


def load_model(folder: Path) -> nn.Module:
    """Read a network that `save_model` wrote, in evaluation mode and in float32, whatever the file has.

    Raises `FileNotFoundError` without a model there, `ValueError` for an unknown network or another band order.
    """
    if not is_model(folder):
        raise FileNotFoundError(f"no model in {folder}: run the train stage first")
    settings = json.loads((folder / SETTINGS).read_text())
    expected, known = [band.name for band in Band], networks()
    if settings["network"] not in known or settings["bands"] != expected:
        raise ValueError(
            f"{folder / SETTINGS} holds a {settings['network']} for bands {settings['bands']}, "
            f"this version reads a {', '.join(known)} for {expected}: train it again"
        )
    found = known[settings["network"]]
    model = found.network(found.settings(**settings["config"]))
    model.load_state_dict(safetensors.torch.load_file(folder / WEIGHTS))
    return model.eval()
