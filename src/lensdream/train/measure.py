"""Loss and accuracy of a network on training images and on validation images, measured on equal terms.

Both are measured in evaluation mode: without augmentation, dropout and label smoothing. So a difference between the two is
what the network has learnt of its training images alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from lensdream.dataset.labelled import LabelledImages
from lensdream.networks.predict import GPU_BATCH, predict

STANDARD_ERRORS = 2.0
"""of the difference of two accuracies: a larger one is no chance"""


@dataclass(frozen=True)
class Measures:
    """Loss and accuracy of a network on training and on validation images."""

    train_loss: float
    validation_loss: float
    train_accuracy: float
    validation_accuracy: float
    validation_auroc: float


def measure(
    model: nn.Module, train: LabelledImages, rows: Tensor, validation: LabelledImages, device: torch.device
) -> Measures:
    """Measure a network on rows of the training images, and on the validation images; accuracies are at 0.5.

    Images weigh what they weigh in `LabelledImages.weights`, which make up for images that were replaced or left out, so that
    the measures are of the distribution that the training images stand for. The weights of a `balanced` fit do not count:
    validation has none. The network is left in evaluation mode, and the random state of torch as it was before the training
    images.
    """
    logits = predict(model, validation.images, device=device)
    validation_loss, validation_accuracy = loss_and_accuracy(logits, validation.labels, validation.weights)
    auroc = float(roc_auc_score(validation.labels.numpy(), logits.numpy()))
    # a network may draw random numbers in evaluation mode, too: the training must go on as if it had not been measured
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        # part by part: a copy of all rows would fill memory
        parts = [predict(model, train.images[part], device=device) for part in rows.split(GPU_BATCH)]
    weights = None if train.weights is None else train.weights[rows]
    train_loss, train_accuracy = loss_and_accuracy(torch.cat(parts), train.labels[rows], weights)
    return Measures(train_loss, validation_loss, train_accuracy, validation_accuracy, auroc)


def loss_and_accuracy(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> tuple[float, float]:
    """Binary cross-entropy, and share of images on the right side of a probability of 0.5.

    logits (N,), labels (N,) of 0 and 1, weights (N,) of any scale.
    """
    if weights is not None:
        weights = weights / weights.mean()
    loss = nn.functional.binary_cross_entropy_with_logits(logits, labels, weights)
    right = ((logits > 0) == (labels == 1)).double()
    return float(loss), float((right if weights is None else right * weights).mean())


def spread_rows(n: int, wanted: int, seed: int) -> Tensor:
    """Rows (wanted,) out of n, or all of them where there are no more, in order: one at random in each of `wanted` parts.

    Rows at equal distances would all have one label where labels take turns.
    """
    if wanted >= n:
        return torch.arange(n)
    bounds = torch.arange(wanted + 1) * n // wanted
    places = torch.rand(wanted, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return bounds[:-1] + (places * bounds.diff()).long()


def parting_epoch(train: Sequence[float], validation: Sequence[float], n_train: int, n_validation: int) -> int | None:
    """Epoch from which the training accuracy stays above the validation accuracy, by more than chance; None without one.

    Chance is `STANDARD_ERRORS` standard errors of the difference of the two, which were measured on so many images.
    """
    found = None
    for epoch in reversed(range(len(train))):
        a, b = train[epoch], validation[epoch]
        error = math.sqrt(a * (1 - a) / n_train + b * (1 - b) / n_validation)
        if a - b <= STANDARD_ERRORS * error:
            break
        found = epoch
    return found
