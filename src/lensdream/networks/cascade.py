"""Cascade: a fast first stage scores every image once, a second stage those above the gate in eight orientations."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lensdream.networks.class_prior import SecondStage
from lensdream.networks.predict import predict

GATE_THRESHOLD = -3.0
"""logit of the first stage below which no second stage follows: a chance of 5 %, where no threshold of 1e-2 or less lies"""

N_ORIENTATIONS = 8
"""orientations in which the second stage scores an image"""


class Cascade(nn.Module):
    """Mean logit over the symmetries of the square, of a second, larger network where there is one.

    A sky has no preferred direction, a trained network has: its logits of the eight orientations scatter, and their mean
    errs less. Most of a survey's images do not pass the gate and are scored once, by the first stage alone: a
    second one may be several times as slow and costs little. The mean of both networks is worse than the better of
    them.
    """

    def __init__(self, first: nn.Module, second: SecondStage | None = None, gate: float = GATE_THRESHOLD) -> None:
        """Join the stages; without a `second` one, the first scores all eight orientations above the `gate`."""
        super().__init__()
        self.first = first
        self.second = second
        self.gate = gate

    def forward(self, images: Tensor) -> Tensor:
        """(B, band, y, x) [microjansky a pixel] -> lens logits (B,) for the target mix."""
        return self.outputs(images)[:, 0]

    def outputs(self, images: Tensor) -> Tensor:
        """(B, band, y, x) [microjansky a pixel] -> (B, 2 + class).

        Columns: lens logits for the target mix and for the mix of training, log likelihoods of the non-lens classes. Both
        logits are the first stage's below the gate, where the log likelihoods are NaN; a cascade without a class prior has
        no column of them.
        """
        first = self.first(images)
        classes = self.second.prior.bias if self.second is not None and self.second.prior is not None else first[:0]
        found = torch.cat([first[:, None].expand(-1, 2), classes.new_full((len(first), len(classes)), torch.nan)], 1)
        (passing,) = (first > self.gate).nonzero(as_tuple=True)
        if len(passing) == 0:
            return found
        turned = [image.contiguous(memory_format=torch.channels_last) for image in orientations(images[passing])]
        if self.second is None:
            logits = torch.stack([first[passing], *map(self.first, turned[1:])]).mean(0)
            return found.index_copy(0, passing, logits[:, None].expand(-1, 2))
        outputs = [self.second.outputs(image) for image in turned]
        parts = (torch.stack([output[:, part] for output in outputs]).mean(0) for part in (slice(2), slice(2, None)))
        return found.index_copy(0, passing, torch.cat([*parts], 1))


def orientations(images: Tensor) -> list[Tensor]:
    """Eight orientations of images (..., y, x), the given one first."""
    return [torch.rot90(mirrored, quarter, (-2, -1)) for mirrored in (images, images.flip(-1)) for quarter in range(4)]


def passes_gate(first: nn.Module, images: Tensor, device: torch.device | str = "cpu") -> Tensor:
    """Whether images (N, band, y, x) pass the gate behind a first stage: (N,) bool."""
    return predict(first, images, device=device) > GATE_THRESHOLD
