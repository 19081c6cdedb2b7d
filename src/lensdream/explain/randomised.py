"""A network's twin with random weights: what an explanation shows of it, the architecture alone has put there.

Adebayo et al. 2018 (arXiv:1810.03292).
"""

from __future__ import annotations

import copy

import torch
from torch import nn


def randomised_twin(model: nn.Module, seed: int) -> nn.Module:
    """Copy the network with every layer initialised anew, in evaluation mode; leaves torch's own generator alone."""
    device = next(model.parameters()).device
    twin = copy.deepcopy(model).cpu()  # so that the seed means the same on every machine
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in twin.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
    return twin.to(device).eval()
