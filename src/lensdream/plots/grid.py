"""Grid of many small pictures as one array: hundreds of matplotlib's axes would take minutes."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np

WHITE = 1.0


def signed(values: np.ndarray) -> np.ndarray:
    """Colours (y, x, 3) of values (y, x) on their own symmetric scale: blue above 0, red below, white at 0."""
    limit = float(np.abs(values).max()) or 1.0
    return matplotlib.colormaps["RdBu"](0.5 + values / (2 * limit))[..., :3].astype(np.float32)


def around(image: np.ndarray, y: float, x: float, side: int) -> np.ndarray:
    """Square of `side` pixels of an image (band, y, x) around a position, moved inside where it would cross the border."""
    low = [int(np.clip(round(c - (side - 1) / 2), 0, n - side)) for c, n in zip((y, x), image.shape[1:], strict=True)]
    return image[:, low[0] : low[0] + side, low[1] : low[1] + side]


def laid_out(rows: Sequence[Sequence[np.ndarray | None]], side: int, gap: int = 3) -> np.ndarray:
    """Grid of square pictures (n, n, 3) in [0, 1], y upwards: (height, width, 3) with the first row on top.

    Each is enlarged to `side` pixels by repeating its own; None leaves a cell white. Raises `ValueError` for a picture that
    is larger than its cell.
    """
    step = side + gap
    sheet = np.full((len(rows) * step - gap, max(map(len, rows)) * step - gap, 3), WHITE, np.float32)
    for r, row in enumerate(rows):
        for c, small in enumerate(row):
            if small is None:
                continue
            if len(small) > side:
                raise ValueError(f"a picture of {len(small)} pixels is larger than its place of {side}: cut it smaller")
            pixel = (np.arange(side) * len(small)) // side
            sheet[r * step : r * step + side, c * step : c * step + side] = small[::-1][np.ix_(pixel, pixel)]
    return sheet
