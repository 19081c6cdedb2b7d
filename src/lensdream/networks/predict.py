"""Logits of many images."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

CPU_BATCH, GPU_BATCH = 32, 512
"""images of a batch by default: larger ones leave a CPU's cache, which halves the speed"""


def predict(
    model: Callable[[Tensor], Tensor],
    images: Tensor,
    batch_size: int | None = None,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Logits (N,), or (N, k) where `model` gives several outputs, of images (N, band, y, x) of any float type.

    A module is left in evaluation mode.
    """
    batch_size = batch_size or (CPU_BATCH if torch.device(device).type == "cpu" else GPU_BATCH)
    if isinstance(model, nn.Module):
        model.eval()
    with torch.inference_mode():
        found = [
            model(batch.float().to(device, memory_format=torch.channels_last)).cpu()
            for batch in images.split(batch_size)
        ]
    return torch.cat(found) if found else torch.empty(0)
