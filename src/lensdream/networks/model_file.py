"""A trained network on disk: `model.safetensors` (weights), `model.json` (its shape, bands, units). No pickles."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import safetensors.torch

from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.survey import Band

WEIGHTS = "model.safetensors"
SETTINGS = "model.json"


def save_model(folder: Path, model: LensNet, stamp: int) -> None:
    """Write weights and settings; each file appears whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "network": type(model).__name__,
        "config": dataclasses.asdict(model.config),
        "bands": [band.name for band in Band],
        "unit": "microjansky a pixel",
        "pixel_scale_arcsec": 0.1,
        "stamp": stamp,
    }
    part = folder / f"{WEIGHTS}.part"
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    safetensors.torch.save_file(state, part)
    part.replace(folder / WEIGHTS)
    part = folder / f"{SETTINGS}.part"
    part.write_text(json.dumps(settings, indent=2) + "\n")
    part.replace(folder / SETTINGS)


def load_model(folder: Path) -> LensNet:
    """Read what `save_model` wrote, in evaluation mode.

    Raises `FileNotFoundError` without a model there, `ValueError` for another network or band order.
    """
    if not (folder / SETTINGS).is_file() or not (folder / WEIGHTS).is_file():
        raise FileNotFoundError(f"no model in {folder}: run the train stage first")
    settings = json.loads((folder / SETTINGS).read_text())
    expected = [band.name for band in Band]
    if settings["network"] != LensNet.__name__ or settings["bands"] != expected:
        raise ValueError(
            f"{folder / SETTINGS} holds a {settings['network']} for bands {settings['bands']}, "
            f"this version reads a {LensNet.__name__} for {expected}: train it again"
        )
    model = LensNet(LensNetConfig(**settings["config"]))
    model.load_state_dict(safetensors.torch.load_file(folder / WEIGHTS))
    return model.eval()


def stamp_of(folder: Path) -> int:
    """Side [pixel] of the images that the model in `folder` was trained on."""
    return int(json.loads((folder / SETTINGS).read_text())["stamp"])
