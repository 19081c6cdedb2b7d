"""A network's twin with random weights: what an explanation shows of it, the architecture alone has put there.

Adebayo et al. 2018 (arXiv:1810.03292).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import nn


def randomised_twin(model: nn.Module, seed: int) -> nn.Module:
    """Copy the network with every layer initialised anew, in evaluation mode; leaves torch's own generator alone."""
    device = next(model.parameters()).device
    twin = copy.deepcopy(model).cpu()  # so that the seed means the same on every machine
    _initialise(twin, seed)
    return twin.to(device).eval()


def randomised_from_top(model: nn.Module, seed: int) -> Iterator[tuple[str, nn.Module]]:
    """Randomise layer by layer, the last layer first: each one's name, and a network without it and all that follow it.

    A layer is a child of the network with parameters. The networks are in evaluation mode and apart from each other.
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
