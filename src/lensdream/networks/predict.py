"""Logits of many images."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def predict(model: nn.Module, images: Tensor, batch_size: int = 256, device: torch.device | str = "cpu") -> Tensor:
    """Logits (N,) of images (N, band, y, x) of any float type; leaves the model in evaluation mode."""
    model.eval()
    with torch.inference_mode():
        found = [
            model(batch.float().to(device, memory_format=torch.channels_last)).cpu()
            for batch in images.split(batch_size)
        ]
    return torch.cat(found) if found else torch.empty(0)
