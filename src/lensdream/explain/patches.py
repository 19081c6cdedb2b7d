"""Scores of one image with one of many squares changed; only outputs that the change reaches are computed again.

The maps that each layer of a chain gives for the unchanged image are kept. For an image with a changed square, a layer
takes the crop around the square that its changed outputs depend on, and these are pasted into the kept maps. That is
exact, to rounding, for layers that act alike everywhere, as convolutions do.

The reach of a layer is measured: an input pixel that is NaN turns every output that depends on it into NaN. So a layer may
be anything, and one that mixes the whole image, such as a mean over it, is computed whole. Because a layer might still
drop NaN, or act unlike in different places, some squares are first scored both ways (`checked`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lensdream.explain.chain import Chain, Layer
from lensdream.explain.crop import CropWindow
from lensdream.explain.score_function import scored

AGREEMENT = 1e-4
"""logit, and share of it, that a square's score may differ from that of the whole changed image"""
CHECKED = 25
"""squares scored both ways"""


@dataclass(frozen=True)
class Span:
    """Crop of a layer's input and box of its changed output along one axis, for n squares."""

    crop: int
    """length of the crop [input pixel]"""
    crops: Tensor
    """(n,) first pixels of the crops"""
    patch: int
    """length of the changed part of the input [input pixel]"""
    patches: Tensor
    """(n,) first changed pixels, in the crop"""
    box: int
    """length of the changed part of the output [output pixel]"""
    boxes: Tensor
    """(n,) first changed pixels, in the output for the whole input"""
    found: Tensor
    """(n,) first changed pixels, in the output for the crop"""


@dataclass(frozen=True)
class Squares:
    """Positions of squares, and the spans in which each layer of a chain is evaluated around them."""

    corners: tuple[Tensor, Tensor]
    """(n_y,) first rows and (n_x,) first columns of patches of the receptive crop, each with all of a square inside it"""
    size: tuple[int, int]
    """size of the patches [pixel]"""
    covered: tuple[Tensor, Tensor]
    """(n_y, height) and (n_x, width) bool: which rows and columns of a patch the square covers"""
    spans: tuple[tuple[Span, Span], ...]
    """spans of each layer, along rows and columns"""

    @property
    def positions(self) -> Tensor:
        """(n, 2) numbers of row and column of the squares that cover any pixel of the receptive crop."""
        rows, columns = (covered.any(1) for covered in self.covered)
        return torch.outer(rows, columns).nonzero()


def plan(chain: Chain, image: Tensor, corners: tuple[Tensor, Tensor], side: int) -> tuple[Chain, Squares]:
    """Spans of a chain's layers on images like this one (band, y, x), for squares at all pairs of these corners.

    Returns the chain to use, too: its layers end where one cannot be evaluated in part.
    """
    window = CropWindow.of(chain.cut, image.shape[-2:])
    placed = [_placed(c, side, *axis) for c, axis in zip(corners, window.axes, strict=True)]
    begins, covered = ([p[k] for p in placed] for k in range(2))
    length = tuple(c.shape[1] for c in covered)
    whole = Squares(tuple(begins), length, tuple(covered), ())
    spans: list[tuple[Span, Span]] = []
    begin = tuple(b.cpu().numpy() for b in begins)
    maps = _channels_last(chain.cut(image[None]))
    for layer in chain.layers:
        given = layer(maps)
        if given.ndim != 4:
            break
        y, x = (_span(depends, b, n) for depends, b, n in zip(_dependence(layer, maps), begin, length, strict=True))
        if y is None or x is None:
            break
        spans.append((_moved(y, image.device), _moved(x, image.device)))
        begin, length, maps = (y.boxes.numpy(), x.boxes.numpy()), (y.box, x.box), given
    chain, squares = chain.split(len(spans)), dataclasses.replace(whole, spans=tuple(spans))
    if not spans or checked(chain, squares, image):
        return chain, squares
    return chain.split(0), whole


def _placed(corners: Tensor, side: int, begin: int, length: int) -> tuple[Tensor, Tensor]:
    """Patches of the receptive crop [begin, begin + length) of an axis, for squares from these corners (n,) on.

    Returns the first pixels of patches (n,), counted from `begin`, and which of a patch's pixels its square covers, (n,
    pixel) bool. All patches have one length: those of squares that reach over the border, or lie behind it, are moved inside.
    """
    size = min(side, length)
    first = (corners - begin).clamp(0, length - size)
    pixel = begin + first[:, None] + torch.arange(size, device=corners.device)
    return first, (pixel >= corners[:, None]) & (pixel < corners[:, None] + side)


def checked(chain: Chain, squares: Squares, image: Tensor) -> bool:
    """Whether squares all over an image (band, y, x) score as the whole images do, to `AGREEMENT`.

    The squares are as bright as the image's brightest pixels, so that they change the score everywhere.
    """
    bright = chain.cut(image.amax((1, 2), keepdim=True).expand_as(image))
    positions = squares.positions
    chosen = positions[
        torch.linspace(0, len(positions) - 1, min(CHECKED, len(positions)), device=positions.device).long()
    ]
    whole = chain.split(0)
    try:
        one = score_at(chain, squares, _Kept.of(chain, image), bright, chosen)
    except (RuntimeError, IndexError):  # a layer gave another size than its reach lets expect
        return False
    other = score_at(whole, dataclasses.replace(squares, spans=()), _Kept.of(whole, image), bright, chosen)
    return torch.allclose(one, other, rtol=AGREEMENT, atol=AGREEMENT)


def score_squares(chain: Chain, squares: Squares, image: Tensor, cover: Tensor, chunk: int) -> tuple[Tensor, Tensor]:
    """Score an image (band, y, x), and the image with each square in turn replaced by pixels of `cover` (band, y, x).

    chain, squares: as `plan` gives them. Returns logits () and (n_y, n_x).
    """
    kept, cover, positions = _Kept.of(chain, image), chain.cut(cover), squares.positions
    changed = kept.score.repeat(*(len(corners) for corners in squares.corners))
    scores = [score_at(chain, squares, kept, cover, some) for some in positions.split(chunk)]
    changed[positions[:, 0], positions[:, 1]] = torch.cat(scores)
    return kept.score, changed


@dataclass(frozen=True)
class _Kept:
    """Outputs of a chain for one unchanged image."""

    maps: tuple[Tensor, ...]
    """receptive crop of the image, then the output of each layer: (y, x, channel)"""
    score: Tensor
    """() logit"""

    @classmethod
    def of(cls, chain: Chain, image: Tensor) -> _Kept:
        maps = [_channels_last(chain.cut(image[None]))]
        for layer in chain.layers:
            maps.append(layer(maps[-1]))
        return cls(tuple(m[0].permute(1, 2, 0).contiguous() for m in maps), scored(chain.rest, maps[-1])[0])


def score_at(chain: Chain, squares: Squares, kept: _Kept, cover: Tensor, positions: Tensor) -> Tensor:
    """Logits (n,) with one square at each of these positions (n, 2), numbers of row and column.

    cover (band, y, x): receptive crop of the covering image.
    """
    rows, columns = positions.T
    begin = squares.corners[0][rows], squares.corners[1][columns]
    covered = squares.covered[0][rows][:, :, None] & squares.covered[1][columns][:, None, :]
    as_is, covering = (_cut(maps, begin, squares.size) for maps in (kept.maps[0], cover.permute(1, 2, 0)))
    patch = torch.where(covered[..., None], covering, as_is)
    for layer, (y, x), maps in zip(chain.layers, squares.spans, kept.maps, strict=False):
        crops = _cut(maps, (y.crops[rows], x.crops[columns]), (y.crop, x.crop))
        crops[_windows((y.patches[rows], x.patches[columns]), (y.patch, x.patch))] = patch
        given = layer(crops.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        patch = given[_windows((y.found[rows], x.found[columns]), (y.box, x.box))]
        begin = y.boxes[rows], x.boxes[columns]
    last = kept.maps[-1].expand(len(positions), -1, -1, -1).clone()
    last[_windows(begin, tuple(patch.shape[1:3]))] = patch
    return scored(chain.rest, last.permute(0, 3, 1, 2))


def _dependence(layer: Layer, maps: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Dependence of a layer's output rows on its input rows, (n_out, n_in) bool, and the same of columns."""
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
    """Span of a layer along an axis where the input changes in [begin, begin + length), begin (n,).

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
    # The layer's stride: the shift between the inputs of neighbouring outputs; none where every output has all inputs.
    stride = int(np.diff(_ends(depends)[0]).max(initial=0)) or n_in
    crops = needed_from // stride * stride  # elsewhere a stride would fall on other pixels
    crop = int((needed_to - crops).max())
    crop = min(n_in, crop + (n_in - crop) % stride)
    crops = np.minimum(crops, n_in - crop)
    arrays = (crops, begin - crops, boxes, boxes - crops // stride)
    crops, patches, boxes, found = (torch.from_numpy(np.asarray(array, np.int64)) for array in arrays)
    return Span(crop, crops, length, patches, box, boxes, found)


def _ends(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First true column of each row (n, m), and the column behind the last."""
    return rows.argmax(1), rows.shape[1] - rows[:, ::-1].argmax(1)


def _moved(span: Span, device: torch.device) -> Span:
    tensors = {name: value.to(device) for name, value in vars(span).items() if isinstance(value, Tensor)}
    return dataclasses.replace(span, **tensors)


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
