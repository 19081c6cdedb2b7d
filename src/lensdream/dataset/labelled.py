"""Training images with labels, the same in every epoch or others."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from lensdream.dataset.store import ImageStore


class TrainingImages(Protocol):
    """Protocol of the images of a training, as many in every epoch."""

    @property
    def identity(self) -> str:
        """Digest of the images, compared when a training is resumed."""

    def __len__(self) -> int:
        """Count the images of an epoch."""

    def epoch(self, number: int, model: nn.Module) -> LabelledImages:
        """Images of an epoch, counted from 0; they may depend on the present model."""

    def n_distinct(self, epochs: int) -> int:
        """Number of distinct images in the first `epochs` epochs."""


@dataclass(frozen=True)
class LabelledImages:
    """Images (N, band, y, x) float16 [microjansky a pixel] and labels (N,) float32 of 0 and 1.

    As `TrainingImages` they are the same in every epoch.
    """

    images: Tensor
    labels: Tensor
    weights: Tensor | None = None
    """weight of each image in the loss (N,), where they differ"""
    source: str | None = None
    """digest of the store and the rows, which is cheaper than one of all pixels"""

    @classmethod
    def from_store(cls, store: ImageStore, split: str, limit: int | None = None) -> LabelledImages:
        """Images of the lenses and non-lenses of a split, at most `limit` of them, evenly taken.

        Raises `ValueError` for a split without both labels.
        """
        chosen = store.labelled_rows(split)
        if limit is not None and limit < len(chosen):
            chosen = chosen[np.linspace(0, len(chosen) - 1, limit).astype(int)]
        labels = store.truth["label"].to_numpy()[chosen]
        if len(np.unique(labels)) != 2:
            raise ValueError(
                f"the {split} split has {len(labels)} images of labels {np.unique(labels).tolist()}, both 0 and 1 are "
                f"needed: raise population.{split} or change lens_fraction"
            )
        images = torch.from_numpy(store.images(chosen))
        return cls(images, torch.as_tensor(labels, dtype=torch.float32), source=digest_of(store, chosen, labels))

    def __len__(self) -> int:
        """Count the images."""
        return len(self.images)

    @property
    def identity(self) -> str:
        """Digest of the images' source or, without a source, of all values."""
        if self.source is not None:
            return self.source
        digest = hashlib.sha256()
        for tensor in (self.images, self.labels, self.weights):
            if tensor is not None:
                digest.update(tensor.cpu().contiguous().numpy())
        return digest.hexdigest()

    def epoch(self, number: int, model: nn.Module | None = None) -> LabelledImages:
        """All images, in every epoch and for any model."""
        return self

    def n_distinct(self, epochs: int) -> int:
        """Number of distinct images, whatever the number of epochs."""
        return len(self)


def digest_of(store: ImageStore, *chosen: np.ndarray) -> str:
    """Digest of a store, by its manifest with the digests of its files, and of the rows and labels chosen."""
    digest = hashlib.sha256(json.dumps(store.manifest, sort_keys=True).encode())
    for array in chosen:
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()
