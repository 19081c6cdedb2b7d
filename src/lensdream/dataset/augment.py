"""Random changes of training images that leave the physics as it is."""

from __future__ import annotations

import torch
from torch import Tensor

from lensdream.instrument import Band


def augment(
    images: Tensor, generator: torch.Generator, shift_pixels: int, band_dropout: float, *,
    gain_scatter: float = 0.0, dihedral: bool = True,
) -> Tensor:  # fmt: skip
    """Turn and mirror (`dihedral`) and shift a batch (B, band, y, x), scale its bands, and drop those of some images.

    One symmetry of the square and one shift serve the whole batch: batches are many, and a copy an image is slow. A dropped
    band is all zeros, as in an observation that lacks it; half of the images that lose bands lose the whole near infrared.
    Each band of an image is scaled by a factor of its own, normal around 1, as zero points err from field to field.
    """
    if dihedral:
        images = torch.rot90(images, int(torch.randint(4, (), generator=generator)), (2, 3))
        if torch.randint(2, (), generator=generator):
            images = images.flip(3)
    if shift_pixels:
        dy, dx = (int(d) for d in torch.randint(-shift_pixels, shift_pixels + 1, (2,), generator=generator))
        images = torch.roll(images, (dy, dx), (2, 3))
    keep = 1 + gain_scatter * torch.randn(len(images), len(Band), generator=generator)
    chance = torch.rand(len(images), generator=generator)
    keep[chance < band_dropout / 2, Band.Y :] = 0
    single = (chance >= band_dropout / 2) & (chance < band_dropout)
    keep[single, torch.randint(Band.Y, len(Band), (int(single.sum()),), generator=generator)] = 0
    return images * keep[:, :, None, None].to(images)
