"""Twin of a network with random weights: an explanation that is the same for both reflects the architecture alone.

Adebayo et al. 2018 (arXiv:1810.03292).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import nn


def randomised_twin(model: nn.Module, seed: int) -> nn.Module:
    """Copy of a network with every layer initialised anew, in evaluation mode; torch's global generator is left as it was."""
    device = next(model.parameters()).device
    twin = copy.deepcopy(model).cpu()  # so that the seed means the same on every machine
    _initialise(twin, seed)
    return twin.to(device).eval()


def randomised_from_top(model: nn.Module, seed: int) -> Iterator[tuple[str, nn.Module]]:
    """Copies of a network randomised from the last layer down, one layer more each, with the name of that layer.

    A layer is a child of the network with parameters. The copies are in evaluation mode and share no weights.
    """
    device = next(model.parameters()).device
    twin = copy.deepcopy(model).cpu()
    layers = [(name, child) for name, child in twin.named_children() if any(True for _ in child.parameters())]
    for k, (name, layer) in enumerate(reversed(layers)):
        _initialise(layer, seed + k)
        yield name, copy.deepcopy(twin).to(device).eval()


def _initialise(module: nn.Module, seed: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for part in module.modules():
            if hasattr(part, "reset_parameters"):
                part.reset_parameters()
