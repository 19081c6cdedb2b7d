"""Score function, all that an explanation needs of a network: images in, one lens logit an image out."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

ScoreFn = Callable[[Tensor], Tensor]
"""(B, band, y, x) [microjansky a pixel] -> lens logits (B,)"""


def check_images(images: Tensor) -> None:
    """Refuse images of another shape, or with pixels that are not finite. Raises `ValueError`."""
    if images.ndim != 4:
        raise ValueError(f"images have the shape (B, band, y, x), got {tuple(images.shape)}; add the batch axis")
    finite = torch.isfinite(images).flatten(1).all(1)
    if not finite.all():
        bad = torch.nonzero(~finite).flatten().tolist()
        raise ValueError(
            f"{len(bad)} of {len(images)} images hold pixels that are not finite (the first is image {bad[0]}): "
            "fill or drop them before explaining"
        )


def scored(score_fn: ScoreFn, images: Tensor) -> Tensor:
    """Logits (B,) of images; raises `ValueError` when `score_fn` gives anything but one number an image."""
    logits = score_fn(images)
    if logits.shape != images.shape[:1]:
        raise ValueError(
            f"the score of {len(images)} images has the shape {tuple(logits.shape)}, expected ({len(images)},): "
            "a score function returns one lens logit an image"
        )
    return logits
