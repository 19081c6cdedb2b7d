"""A trained network on disk: `model.safetensors` (weights), `model.json` (its shape, bands, units). No pickles."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import safetensors.torch
from torch import nn

from lensdream.instrument import Band
from lensdream.networks.lensnet import DeepLensNet, LensNet, LensNetConfig
from lensdream.networks.ou import OU66, OU200, OUConfig
from lensdream.runtime.files import sha256_of

NETWORKS: dict[str, tuple[type[nn.Module], type]] = {
    LensNet.__name__: (LensNet, LensNetConfig),
    DeepLensNet.__name__: (DeepLensNet, LensNetConfig),
    OU66.__name__: (OU66, OUConfig),
    OU200.__name__: (OU200, OUConfig),
}
"""the classes that a `model.json` may name, each with that of its settings"""

WEIGHTS = "model.safetensors"
SETTINGS = "model.json"
SECOND = "second"
"""folder, within that of a model, of another one that has its second looks; most have none"""
PEERS = "peers"
"""folder, within that of a model, of the models that it is compared with, a subfolder each"""
KINDS_FILE = Path("kinds", "kinds.safetensors")
"""file, within that of a model, of what its second network tells of non-lenses (`networks.kinds`); most have none"""


def save_model(folder: Path, model: nn.Module, stamp: int, images_trained_on: int | None = None) -> None:
    """Write weights and settings of a model of `NETWORKS`; each file appears whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "network": type(model).__name__,
        "config": dataclasses.asdict(model.config),
        "bands": [band.name for band in Band],
        "unit": "microjansky a pixel",
        "pixel_scale_arcsec": 0.1,
        "stamp": stamp,
        "images_trained_on": images_trained_on,
    }
    part = folder / f"{WEIGHTS}.part"
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    safetensors.torch.save_file(state, part)
    part.replace(folder / WEIGHTS)
    part = folder / f"{SETTINGS}.part"
    part.write_text(json.dumps(settings, indent=2) + "\n")
    part.replace(folder / SETTINGS)


def load_model(folder: Path) -> nn.Module:
    """Read what `save_model` wrote, in evaluation mode.

    Raises `FileNotFoundError` without a model there, `ValueError` for an unknown network or another band order.
    """
    if not is_model(folder):
        raise FileNotFoundError(f"no model in {folder}: run the train stage first")
    settings = json.loads((folder / SETTINGS).read_text())
    expected = [band.name for band in Band]
    if settings["network"] not in NETWORKS or settings["bands"] != expected:
        raise ValueError(
            f"{folder / SETTINGS} holds a {settings['network']} for bands {settings['bands']}, "
            f"this version reads a {', '.join(NETWORKS)} for {expected}: train it again"
        )
    network, config = NETWORKS[settings["network"]]
    model = network(config(**settings["config"]))
    model.load_state_dict(safetensors.torch.load_file(folder / WEIGHTS))
    return model.eval()


def is_model(folder: Path) -> bool:
    """Whether a trained network lies in `folder`."""
    return (folder / SETTINGS).is_file() and (folder / WEIGHTS).is_file()


def digest_of(folder: Path) -> str:
    """Hex digest that tells the model in `folder` from others: of its weights, those of its second network and its kinds."""
    digests = [sha256_of(part / WEIGHTS) for part in (folder, folder / SECOND) if is_model(part)]
    digests += [sha256_of(folder / KINDS_FILE)] if (folder / KINDS_FILE).is_file() else []
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def images_trained_on(folder: Path) -> int | None:
    """How many different images the model in `folder` was trained on; None where an older version wrote it."""
    return json.loads((folder / SETTINGS).read_text()).get("images_trained_on")


def stamp_of(folder: Path) -> int:
    """Side [pixel] of the images that the model in `folder` was trained on."""
    return int(json.loads((folder / SETTINGS).read_text())["stamp"])
