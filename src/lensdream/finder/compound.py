"""The compound classifier of a model folder."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from lensdream.networks.model_file import is_model, load_model

FOLDER = "compound"
"""of its model, within `models/<scale>`"""


def read_head(model: Path) -> nn.Module:
    """The trained head of a model folder, in evaluation mode; raises `FileNotFoundError` with the remedy."""
    folder = model / FOLDER
    if not is_model(folder):
        raise FileNotFoundError(f"no compound head in {folder}: run the train-compound stage first")
    return load_model(folder)
