"""The image store: shards, masks, truth table and manifest."""

from lensdream.dataset.store import ARC_1, ARC_2, LENS_LIGHT, ImageStore, StoreError

__all__ = ["ARC_1", "ARC_2", "LENS_LIGHT", "ImageStore", "StoreError"]
