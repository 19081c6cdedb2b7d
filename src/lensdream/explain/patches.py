"""Scores of one image with a square of it changed, for many squares: only what the change reaches is computed again.

The maps that each layer of a chain gives for the image as it is are kept. Of an image with a changed square, a layer sees
just as much around the square as its changed outputs depend on, and these are pasted into the kept maps. That is exact,
to rounding, for layers that do the same everywhere, as convolutions do.

What a layer's outputs depend on is measured: a pixel that is not a number makes one of every output it reaches. So nothing
has to be known of a layer, and one that mixes the whole image, as a mean over it does, is just computed whole. Because a
layer might still hide what reaches it, or treat places unlike, some squares are scored both ways first (`checked`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lensdream.explain.chain import Chain, Layer
from lensdream.explain.score_function import scored

AGREEMENT = 1e-4
"""logit, and share of it, that a square's score may differ from that of the whole changed image"""
CHECKED = 25
"""squares scored both ways"""


@dataclass(frozen=True)
class Span:
    """Along one axis of a layer, for n squares: what the layer sees of its input, and what changes in its output."""

    crop: int
    """length of what it sees [input pixel]"""
    crops: Tensor
    """(n,) where that begins"""
    patch: int
    """length of what has changed of its input [input pixel]"""
    patches: Tensor
    """(n,) where that begins in the crop"""
    box: int
    """length of what changes in its output [output pixel]"""
    boxes: Tensor
    """(n,) where that begins in the output for the whole input"""
    found: Tensor
    """(n,) where that begins in the output for the crop"""


@dataclass(frozen=True)
class Squares:
    """Where squares are put, and how each layer of a chain is to be evaluated around them."""

    corners: tuple[Tensor, Tensor]
    """(n_y,) first rows and (n_x,) first columns [pixel]"""
    side: int
    """[pixel]"""
    spans: tuple[tuple[Span, Span], ...]
    """of each layer, rows and columns"""


def plan(chain: Chain, image: Tensor, corners: tuple[Tensor, Tensor], side: int) -> tuple[Chain, Squares]:
    """Measure the layers' reach on images like this one (band, y, x), for squares at all pairs of these corners.

    Returns the chain to use: its layers end where one cannot be evaluated in part.
    """
    spans: list[tuple[Span, Span]] = []
    begin, length = tuple(c.cpu().numpy() for c in corners), (side, side)
    maps = _channels_last(image[None])
    for layer in chain.layers:
        given = layer(maps)
        if given.ndim != 4:
            break
        y, x = (_span(depends, b, n) for depends, b, n in zip(_dependence(layer, maps), begin, length, strict=True))
        if y is None or x is None:
            break
        spans.append((_moved(y, image.device), _moved(x, image.device)))
        begin, length, maps = (y.boxes.numpy(), x.boxes.numpy()), (y.box, x.box), given
    chain, squares = chain.split(len(spans)), Squares(corners, side, tuple(spans))
    if not spans or checked(chain, squares, image):
        return chain, squares
    return chain.split(0), Squares(corners, side, ())


def checked(chain: Chain, squares: Squares, image: Tensor) -> bool:
    """Whether squares all over an image (band, y, x) score as the whole images do, to `AGREEMENT`.

    The squares are as bright as the image's brightest pixels, which no place hides.
    """
    bright = image.amax((1, 2), keepdim=True).expand_as(image)
    places = _all_places(squares)
    chosen = places[torch.linspace(0, len(places) - 1, min(CHECKED, len(places)), device=places.device).long()]
    whole = chain.split(0)
    try:
        one = score_at(chain, squares, _Kept.of(chain, image), bright, chosen)
    except (RuntimeError, IndexError):  # a layer gave another size than its reach lets expect
        return False
    other = score_at(whole, Squares(squares.corners, squares.side, ()), _Kept.of(whole, image), bright, chosen)
    return torch.allclose(one, other, rtol=AGREEMENT, atol=AGREEMENT)


def score_squares(chain: Chain, squares: Squares, image: Tensor, cover: Tensor, chunk: int) -> tuple[Tensor, Tensor]:
    """Score an image (band, y, x), and the same with each of the squares showing `cover` (band, y, x).

    chain, squares: as `plan` gives them. Returns logits () and (n_y, n_x).
    """
    kept = _Kept.of(chain, image)
    scores = [score_at(chain, squares, kept, cover, places) for places in _all_places(squares).split(chunk)]
    return kept.score, torch.cat(scores).view(*(len(corners) for corners in squares.corners))


@dataclass(frozen=True)
class _Kept:
    """What a chain gives for one image as it is."""

    maps: tuple[Tensor, ...]
    """the image, then what each layer gives: (y, x, channel)"""
    score: Tensor
    """() logit"""

    @classmethod
    def of(cls, chain: Chain, image: Tensor) -> _Kept:
        maps = [_channels_last(image[None])]
        for layer in chain.layers:
            maps.append(layer(maps[-1]))
        return cls(tuple(m[0].permute(1, 2, 0).contiguous() for m in maps), scored(chain.rest, maps[-1])[0])


def score_at(chain: Chain, squares: Squares, kept: _Kept, cover: Tensor, places: Tensor) -> Tensor:
    """Logits (n,) with the squares at these places (n, 2), numbers of their row and column, one at a time."""
    rows, columns = places.T
    begin = squares.corners[0][rows], squares.corners[1][columns]
    patch = _cut(cover.permute(1, 2, 0), begin, (squares.side, squares.side))
    for layer, (y, x), maps in zip(chain.layers, squares.spans, kept.maps, strict=False):
        seen = _cut(maps, (y.crops[rows], x.crops[columns]), (y.crop, x.crop))
        seen[_windows((y.patches[rows], x.patches[columns]), (y.patch, x.patch))] = patch
        given = layer(seen.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        patch = given[_windows((y.found[rows], x.found[columns]), (y.box, x.box))]
        begin = y.boxes[rows], x.boxes[columns]
    last = kept.maps[-1].expand(len(places), -1, -1, -1).clone()
    last[_windows(begin, tuple(patch.shape[1:3]))] = patch
    return scored(chain.rest, last.permute(0, 3, 1, 2))


def _dependence(layer: Layer, maps: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Which rows of a layer's output depend on which of its input, (n_out, n_in) bool, and which columns."""
    height, width = maps.shape[-2:]
    n = torch.arange(max(height, width), device=maps.device)
    rows, columns = n % height, n % width  # one pixel an image, along the diagonal
    probes = maps.expand(len(n), -1, -1, -1).clone(memory_format=torch.channels_last)
    probes[n, :, rows, columns] = torch.nan
    reached = layer(probes).isnan().any(1)
    found = []
    for axis, pixel, length in ((2, rows, height), (1, columns, width)):
        of_pixel = reached.any(axis)
        depends = torch.zeros(of_pixel.shape[1], length, dtype=torch.bool, device=maps.device)
        depends[:, pixel[:length]] = of_pixel[:length].T
        found.append(depends.cpu().numpy())
    return found[0], found[1]


def _span(depends: np.ndarray, begin: np.ndarray, length: int) -> Span | None:
    """Work out what to compute along an axis where the input changes in [begin, begin + length), begin (n,).

    All squares get crops and boxes of one length, so that they can be computed together; near the border these are
    moved back inside. None where a square reaches no output, or an output depends on nothing.
    """
    n_out, n_in = depends.shape
    changed = np.stack([depends[:, b : b + length].any(1) for b in begin])
    if not changed.any(1).all() or not depends.any(1).all():
        return None
    first, behind = _ends(changed)
    box = int((behind - first).max())
    boxes = np.minimum(first, n_out - box)
    needed_from, needed_to = _ends(np.stack([depends[b : b + box].any(0) for b in boxes]))
    needed_from, needed_to = np.minimum(needed_from, begin), np.maximum(needed_to, begin + length)
    # The layer's stride: by how much what an output sees moves on. Where every output sees everything, nothing moves.
    stride = int(np.diff(_ends(depends)[0]).max(initial=0)) or n_in
    crops = needed_from // stride * stride  # elsewhere a stride would fall on other pixels
    crop = int((needed_to - crops).max())
    crop = min(n_in, crop + (n_in - crop) % stride)
    crops = np.minimum(crops, n_in - crop)
    places = (crops, begin - crops, boxes, boxes - crops // stride)
    crops, patches, boxes, found = (torch.from_numpy(np.asarray(p, np.int64)) for p in places)
    return Span(crop, crops, length, patches, box, boxes, found)


def _ends(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First true place of each row (n, m), and the place behind the last."""
    return rows.argmax(1), rows.shape[1] - rows[:, ::-1].argmax(1)


def _moved(span: Span, device: torch.device) -> Span:
    places = {name: value.to(device) for name, value in vars(span).items() if isinstance(value, Tensor)}
    return Span(**(vars(span) | places))


def _all_places(squares: Squares) -> Tensor:
    """Numbers of row and column of all squares, (n, 2)."""
    return torch.cartesian_prod(*(torch.arange(len(c), device=c.device) for c in squares.corners))


def _cut(maps: Tensor, begin: tuple[Tensor, Tensor], size: tuple[int, int]) -> Tensor:
    """Parts (n, y, x, channel) of maps (y, x, channel) that begin at rows and columns (n,)."""
    rows, columns = (b[:, None] + torch.arange(n, device=b.device) for b, n in zip(begin, size, strict=True))
    return maps[rows[:, :, None], columns[:, None, :]]


def _windows(begin: Sequence[Tensor], size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Index of a part of each of n maps (n, y, x, channel) that begins at its own row and column, (n,)."""
    rows, columns = (b[:, None] + torch.arange(n, device=b.device) for b, n in zip(begin, size, strict=True))
    return torch.arange(len(rows), device=rows.device)[:, None, None], rows[:, :, None], columns[:, None, :]


def _channels_last(maps: Tensor) -> Tensor:
    # Convolutions on a CPU are twice as fast in this memory format, and on a GPU no slower.
    return maps.contiguous(memory_format=torch.channels_last)
