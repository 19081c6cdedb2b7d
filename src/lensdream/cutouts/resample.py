"""Resampling of windows onto another pixel grid, by the area that pixels share: flux is conserved."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

WHOLE_TOLERANCE = 0.01
"""a pixel scale this close to a whole fraction of the grid's is taken as such: 80 pixels then stretch by 0.8 at most"""


@dataclass(frozen=True)
class Window:
    """A square of the output grid, in edge coordinates of the input: pixel i covers [i, i + 1]."""

    low_y: float
    low_x: float
    ratio: float
    """input pixels a pixel of the output, on an axis"""
    side: int
    """[output pixel]"""

    @property
    def whole(self) -> bool:
        """Whether the window cuts no input pixel."""
        return self.ratio == round(self.ratio)

    def middle(self, side: int) -> Window:
        """Middle of the window, of `side` output pixels."""
        edge = (self.side - side) // 2 * self.ratio
        return Window(self.low_y + edge, self.low_x + edge, self.ratio, side)

    def covered(self, shape: tuple[int, int]) -> tuple[float, float]:
        """Share of the window's height and width covered by an input of this shape."""
        length = self.side * self.ratio
        (y, x) = (
            min(low + length, size) - max(low, 0) for low, size in zip((self.low_y, self.low_x), shape, strict=True)
        )
        return max(y, 0.0) / length, max(x, 0.0) / length


def window_around(y: float, x: float, ratio: float, side: int) -> Window:
    """Window with its middle at (y, x), pixel centres at whole numbers from 0.

    A ratio within `WHOLE_TOLERANCE` of a whole number becomes that number, and the window then moves by up to half an
    input pixel so that it cuts none: binning keeps the noise as it is, interpolation would correlate it.
    """
    nearest = max(1, round(ratio))
    if abs(ratio / nearest - 1) <= WHOLE_TOLERANCE:
        low_y, low_x = (math.floor(c + 0.5 - side * nearest / 2 + 0.5) for c in (y, x))
        return Window(low_y, low_x, nearest, side)
    low_y, low_x = (c + 0.5 - side * ratio / 2 for c in (y, x))
    return Window(low_y, low_x, ratio, side)


def read_square(window: Window, shape: tuple[int, int], read: Callable[[slice, slice], np.ndarray]) -> np.ndarray:
    """Read all input pixels that the window touches: square float32, NaN where the input has none.

    `read` gives rows and columns inside `shape`.
    """
    first = [math.floor(low) for low in (window.low_y, window.low_x)]
    last = [math.ceil(low + window.side * window.ratio) for low in (window.low_y, window.low_x)]
    inside = [slice(max(a, 0), min(b, size)) for a, b, size in zip(first, last, shape, strict=True)]
    part = read(*inside)
    if part.shape == (last[0] - first[0], last[1] - first[1]):
        return part
    square = np.full((last[0] - first[0], last[1] - first[1]), np.nan, np.float32)
    (y, x) = (slice(cut.start - a, cut.stop - a) for cut, a in zip(inside, first, strict=True))
    square[y, x] = part
    return square


def sum_onto(window: Window, square: np.ndarray) -> np.ndarray:
    """Sum of input pixels of `read_square` in each output pixel: (side, side) float32, the total conserved."""
    if window.ratio == 1:
        return square
    if window.whole:
        bins = int(window.ratio)
        return square.reshape(window.side, bins, window.side, bins).sum((1, 3), dtype=np.float32)
    rows = _shared_lengths(window.low_y, window.ratio, window.side, square.shape[0])
    columns = _shared_lengths(window.low_x, window.ratio, window.side, square.shape[1])
    return (rows @ square @ columns.T).astype(np.float32)


def _shared_lengths(low: float, ratio: float, side: int, n: int) -> np.ndarray:
    """Lengths (side, n) shared by output pixel k and input pixel i on one axis [input pixel]."""
    edges = low - math.floor(low) + ratio * np.arange(side + 1)
    pixels = np.arange(n)
    upper = np.minimum(edges[1:, None], pixels[None] + 1)
    lower = np.maximum(edges[:-1, None], pixels[None])
    return np.maximum(upper - lower, 0.0)
