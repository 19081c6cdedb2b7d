"""The image store: shards, masks, truth table and manifest."""

from lensdream.dataset.store import ImageStore, StoreError
from lensdream.render.batch import ARC_1, ARC_2, LENS_LIGHT

__all__ = ["ARC_1", "ARC_2", "LENS_LIGHT", "ImageStore", "StoreError"]
