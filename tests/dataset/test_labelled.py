"""Labelled images and what identifies them."""

import dataclasses

import pandas as pd
import pytest
import torch

from conftest import blobs
from lensdream.dataset.store import ImageStore
from lensdream.train import loop


def test_images_without_a_store_are_told_apart_by_all_they_hold():
    given = blobs(40, 1)
    other = given.images.clone()
    other[7, 3, 5, 5] += 1
    changed = (
        {"images": other},
        {"labels": 1 - given.labels},
        {"weights": torch.ones(40)},
        {"weights": 2 * torch.ones(40)},
    )
    assert given.identity == blobs(40, 1).identity
    assert len({given.identity, *(dataclasses.replace(given, **change).identity for change in changed)}) == 5


def test_a_split_without_lenses_is_refused(tmp_path):
    store = ImageStore(tmp_path, {}, pd.DataFrame({"split": ["train"] * 3, "label": [0, 0, 0]}))
    with pytest.raises(ValueError, match="both 0 and 1 are needed"):
        loop.LabelledImages.from_store(store, "train")
