"""A trained network on disk: `model.safetensors` (weights) and `model.json` (shape, bands, units), no pickles."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import safetensors.torch
from torch import nn

from lensdream.instrument import Band
from lensdream.networks.layout import SETTINGS, WEIGHTS, is_model
from lensdream.networks.registry import networks
from lensdream.runtime.files import write_json, write_whole


def save_model(
    folder: Path,
    model: nn.Module,
    stamp: int,
    images_trained_on: int | None = None,
    training_odds: float | None = None,
) -> None:
    """Write weights and settings of a network of this package; each file appears whole or not at all.

    stamp: side of its images [pixel]; training_odds: label-1 images for every label-0 image in its training.
    """
    settings = {
        "network": type(model).__name__,
        "config": dataclasses.asdict(model.config),
        "bands": [band.name for band in Band],
        "unit": "microjansky a pixel",
        "pixel_scale_arcsec": 0.1,
        "stamp": stamp,
        "images_trained_on": images_trained_on,
    } | ({} if training_odds is None else {"training_odds": training_odds})
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    write_whole(folder / WEIGHTS, safetensors.torch.save(state))
    write_json(folder / SETTINGS, settings)


def load_model(folder: Path) -> nn.Module:
    """Read a network that `save_model` wrote, in evaluation mode.

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
