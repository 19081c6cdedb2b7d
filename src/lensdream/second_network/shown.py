"""What the first look leaves for the second network to learn."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lensdream.networks import predict
from lensdream.networks.second_looks import HOPELESS

PLAIN = 6.0
"""logit of the first look from which a lens teaches little (`benchmarks/second_looks.py` prints its loss)"""
EVERY = 4
"""so many plain lenses are stood for by one"""


def weights(first: nn.Module, images: Tensor, labels: Tensor, device: torch.device | str = "cpu") -> Tensor:
    """What images (N, band, y, x) of labels (N,) weigh in the loss (N,): 0 for those not shown.

    Not shown is what the first look does not let through. Of the plain lenses each fourth is, with the weight of four.
    """
    logits = predict(first, images, device=device)
    shown = (logits > HOPELESS).float()
    (plain,) = ((labels == 1) & (logits > PLAIN)).nonzero(as_tuple=True)
    shown[plain] = 0.0
    shown[plain[EVERY // 2 :: EVERY]] = float(EVERY)
    return shown
