"""Training set of the compound classifier: compound lenses, their matched singles, ordinary single lenses."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn

from lensdream.config import CompoundTraining
from lensdream.dataset.labelled import LabelledImages, digest_of
from lensdream.dataset.store import ImageStore
from lensdream.families import COMPOUND, COMPOUND_TRAIN, LENS, MATCHED_SINGLE


@dataclass(frozen=True)
class CompoundTrainingSet:
    """`TrainingImages` with all pairs in every epoch, and the next part of the ordinary single lenses.

    Single lenses are the most numerous, in a survey as in the training split: all of them have their turn.
    """

    store: ImageStore
    pairs: np.ndarray
    """rows of the truth table: compound lenses and the single lenses matched to them"""
    singles: np.ndarray
    """rows of the ordinary single lenses, in the order in which they have their turn"""
    n_singles: int
    """number of ordinary single lenses of an epoch"""
    start: str
    """digest of the weights that the training starts from: with others, an interrupted one begins anew"""

    def __len__(self) -> int:
        """Count the images of an epoch."""
        return len(self.pairs) + self.n_singles

    @property
    def identity(self) -> str:
        """Digest of the store and the scenes out of it, and of the weights in the beginning."""
        return json.dumps([digest_of(self.store, self.pairs, self.singles), len(self), self.start])

    def rows(self, number: int) -> np.ndarray:
        """Rows of the truth table whose images an epoch has, counted from 0."""
        turn = np.arange(number * self.n_singles, (number + 1) * self.n_singles)
        return np.concatenate([self.pairs, np.take(self.singles, turn, mode="wrap")]) if len(turn) else self.pairs

    def epoch(self, number: int, model: nn.Module | None = None) -> LabelledImages:
        """Images of an epoch, read from the store, whatever the model."""
        return labelled(self.store, self.rows(number))

    def n_distinct(self, epochs: int) -> int:
        """Number of distinct images: all pairs, and the single lenses that have had their turn."""
        return len(self.pairs) + min(len(self.singles), epochs * self.n_singles)


def compound_training_set(
    store: ImageStore, settings: CompoundTraining, start: str
) -> tuple[CompoundTrainingSet, LabelledImages]:
    """Training set of the compound classifier, and its validation images.

    A share `held_out` of the pairs, evenly taken, both partners together, and the single lenses of the validation split
    are for validation. `singles_per_compound` ordinary single lenses stand beside each compound lens in either, or as
    many as there are. Raises `ValueError` for a store that lacks any of it.
    """
    pairs = pairs_of(store)
    n_held = max(1, round(len(pairs) * settings.held_out))
    held = np.zeros(len(pairs), bool)
    held[np.linspace(0, len(pairs) - 1, n_held).round().astype(int)] = True
    wanted = settings.singles_per_compound
    rng = np.random.default_rng([settings.fit.seed, len(pairs)])
    singles = rng.permutation(single_lenses(store, "train", wanted))
    n_singles = min(len(singles), round(wanted * int((~held).sum())))
    others = single_lenses(store, "validation", wanted)
    n_others = min(len(others), round(wanted * n_held))
    beside = others[np.linspace(0, len(others) - 1, n_others).round().astype(int)] if n_others else others[:0]
    train = CompoundTrainingSet(store, pairs[~held].T.ravel(), singles, n_singles, start)
    return train, labelled(store, np.concatenate([pairs[held].T.ravel(), beside]))


def pairs_of(store: ImageStore) -> np.ndarray:
    """Rows of the truth table (N, 2): a compound lens of `COMPOUND_TRAIN`, and the single lens matched to it.

    Raises `ValueError` where there are none, too few to hold one out, or some without a partner.
    """
    truth = store.truth
    again = "raise population.compound_arc_train and population.double_ring_train, run population and simulate again"
    compound = np.flatnonzero((truth["split"] == COMPOUND_TRAIN) & truth["family"].isin(COMPOUND))
    if len(compound) < 2:
        raise ValueError(
            f"the split {COMPOUND_TRAIN} of {store.folder} has {len(compound)} compound lenses, at least 2 are needed, "
            f"one to train and one to validate on: {again}"
        )
    row_of = pd.Series(np.arange(len(truth)), truth["index"])
    partner = row_of.reindex(truth["partner"].iloc[compound]).fillna(-1).to_numpy(int)
    matched = (partner >= 0) & (truth["family"].iloc[partner] == MATCHED_SINGLE).to_numpy()
    matched &= (truth["split"].iloc[partner] == COMPOUND_TRAIN).to_numpy()
    if not matched.all():
        first = truth["index"].iloc[compound[~matched][0]]
        raise ValueError(
            f"{(~matched).sum()} of the {len(compound)} compound lenses of the split {COMPOUND_TRAIN} of {store.folder} "
            f"have no matched_single of that split as partner, the first is scene {first}: {again}"
        )
    return np.stack([compound, partner], 1)


def single_lenses(store: ImageStore, split: str, wanted: float) -> np.ndarray:
    """Rows of the ordinary single lenses of a split; raises `ValueError` where there are none but some are `wanted`."""
    truth = store.truth
    rows = np.flatnonzero((truth["split"] == split) & (truth["family"] == LENS) & (truth["label"] == 1))
    if wanted > 0 and len(rows) == 0:
        raise ValueError(
            f"the {split} split of {store.folder} has no lens, and "
            f"compound_classifier.singles_per_compound = {wanted:g} asks for some: raise population.{split} or set it to 0"
        )
    return rows


def labelled(store: ImageStore, rows: np.ndarray) -> LabelledImages:
    """Images of rows of the truth table, labelled 1 for compound lenses and 0 for all others."""
    labels = store.truth["family"].iloc[rows].isin(COMPOUND).to_numpy(np.float32)
    return LabelledImages(torch.from_numpy(store.images(rows)), torch.from_numpy(labels))
