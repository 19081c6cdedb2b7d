"""Deletion and insertion (the method): lens logits while pixels are replaced by empty sky in the order of a map.

Most relevant first (Samek et al. 2017, arXiv:1509.06321; "deletion" of Petsiuk et al. 2018, arXiv:1806.07421), the logit of a
lens should fall at once; least relevant first, it should stay. The second read backwards is insertion into empty sky, the most
relevant first. The gap between the two is what scores a map: the fill, and the brightness of arcs, shift both alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lensdream.explain.score_function import ScoreFn, check_images, scored


@dataclass(frozen=True)
class Removal:
    """Logits of images as a growing share of their pixels is replaced."""

    shares: Tensor
    """(n + 1,) shares replaced, from 0 to 1"""
    most_first: Tensor
    """(B, n + 1) logits, the most relevant pixels replaced first"""
    least_first: Tensor
    """(B, n + 1) logits, the least relevant first"""

    @property
    def gap(self) -> Tensor:
        """(B,) mean over the steps of the logit by least relevant first less that by most relevant first [logit]."""
        return (self.least_first - self.most_first).mean(1)


def removal_shares(steps: int) -> Tensor:
    """Shares of the pixels (steps + 1,), from 0 to 1 by their square root: arcs are a few per cent of an image."""
    return torch.linspace(0, 1, steps + 1, dtype=torch.float64) ** 2


@torch.inference_mode()
def remove(score_fn: ScoreFn, images: Tensor, maps: Tensor, *, fill: Tensor, steps: int, seed: int) -> Removal:
    """Replace pixels of images (B, band, y, x), in all bands, by those of `fill` in the order of maps (B, y, x).

    Pixels of equal relevance are replaced in a random order, by `seed`. Costs 2 steps + 2 scores an image. Raises
    `ValueError` for images or maps that are not finite and for maps of another shape.
    """
    check_images(images)
    if maps.shape != images[:, 0].shape or not torch.isfinite(maps).all():
        raise ValueError(f"maps {tuple(maps.shape)} must be finite and of the shape {tuple(images[:, 0].shape)}")
    shares = removal_shares(steps)
    counts = (shares * maps[0].numel()).round().long().to(images.device)[:, None, None, None]
    shuffle = torch.randperm(maps[0].numel(), generator=torch.Generator().manual_seed(seed)).to(maps.device)
    curves = ([], [])
    for image, values, cover in zip(images, maps, fill, strict=True):
        for curve, sign in zip(curves, (-1, 1), strict=True):
            order = shuffle[torch.argsort(sign * values.flatten()[shuffle], stable=True)]
            rank = torch.empty_like(order)
            rank[order] = torch.arange(len(order), device=order.device)
            removed = rank.view(values.shape) < counts  # (steps + 1, 1, y, x)
            replaced = torch.where(removed, cover, image)
            curve.append(scored(score_fn, replaced.contiguous(memory_format=torch.channels_last)))
    return Removal(shares, torch.stack(curves[0]), torch.stack(curves[1]))
