"""Light that the frame's samples miss: around the cusps of unlensed components (`optics.cusp`), and of compact arcs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lensdream.optics.cusp import WINDOW_EDGE, nodes, patch, window
from lensdream.optics.sampling import Frame
from lensdream.render.profiles import SHAPE_COLUMNS, Columns, Parts, columns_of, profile, rows_of

CUSPY, COMPACT = 0.8, 0.1
"""sersic_index above which, and r_e [arcsec] below which, samples miss light at the centre"""
FLATTEST_CUSP = 0.15
"""axis ratio down to which the quadrature around a cusp holds; thinner components have no cusp to speak of"""
CUSP_SAMPLES = 4
"""radius of the window around a cusp, in samples"""
SMALL_R_E = 3 * COMPACT
"""r_e [arcsec] below which one sample a pixel, outside the fine square, misses light of any profile"""
BRIGHT_FLUX, BRIGHTEST_FLUX = 30.0, 100.0
"""VIS flux [microjansky] above which the window outside the fine square is twice and four times as wide: errors grow with
brightness"""


class Core(NamedTuple):
    """Light around a cusp, on the frame's fine samples."""

    weights: Tensor
    """(band + role,) of the brightness in each"""
    row: int
    column: int
    brightness: Tensor
    """(S, S), which begins at that row and column and may reach over the frame's edge"""

    def add_to(self, fine: Tensor, weights: Tensor) -> None:
        """Add the light to maps (K, m, m) with these weights (K,), in place."""
        size, m = len(self.brightness), fine.shape[-1]
        top, left = max(self.row, 0), max(self.column, 0)
        bottom, right = min(self.row + size, m), min(self.column + size, m)
        part = self.brightness[top - self.row : bottom - self.row, left - self.column : right - self.column]
        fine[:, top:bottom, left:right] += weights[:, None, None] * part

    def add_to_pixels(self, pixels: Tensor, weights: Tensor, samples: int) -> None:
        """Add the light to maps (K, n, n) of pixels `samples` wide, in place."""
        (used,) = weights.nonzero(as_tuple=True)
        if len(used) == 0:
            return
        size = len(self.brightness)
        # in a square of whole pixels that holds it
        top, left = self.row // samples, self.column // samples
        whole = -(-(size + samples - 1) // samples)
        square = self.brightness.new_zeros(1, whole * samples, whole * samples)
        inside = self._replace(row=self.row - top * samples, column=self.column - left * samples)
        inside.add_to(square, square.new_ones(1))
        mean = square[0].view(whole, samples, whole, samples).mean((1, 3))
        padded = self._replace(row=top, column=left, brightness=mean)
        for k in used.tolist():
            padded.add_to(pixels[k : k + 1], weights[k : k + 1])


class Cells(NamedTuple):
    """Light of pixels outside the fine square, on fine samples of their own."""

    weights: Tensor
    """(band + role,) of the brightness in each"""
    indices: Tensor
    """(N,) indices among the frame's (width^2) pixels"""
    brightness: Tensor
    """(N, s, s)"""

    def add_to(self, fine: Tensor, weights: Tensor) -> None:
        """Add the light to maps (K, m, m) with these weights (K,), in place."""
        s, m = self.brightness.shape[-1], fine.shape[-1]
        row, column = self.indices // (m // s), self.indices % (m // s)
        pixels = fine.view(-1, m // s, s, m // s, s).movedim((1, 3), (0, 1))
        pixels[row, column] += weights[:, None, None] * self.brightness[:, None]

    def add_to_pixels(self, pixels: Tensor, weights: Tensor, samples: int) -> None:
        """Add the light to maps (K, n, n) of pixels `samples` wide, in place."""
        mean = self.brightness.mean((1, 2))
        pixels.flatten(1).index_add_(1, self.indices, weights[:, None] * mean)


def extract_cores(
    maps: Tensor, parts: Parts, weights: Tensor, frame: Frame, points: tuple[Tensor, Tensor]
) -> Iterator[tuple[int, Core]]:
    """Move the light around the cusps of unlensed components from their maps (M, P), in place, to cores.

    Yields the component's number and its core; weights (M, band + role), points (x, y) (P,) of the frame. In the fine
    square a small window is enough; outside it a wide one, whose light is then sampled finely, but for the small one's.
    """
    q, n, r_e = (parts[name] for name in ("q", "sersic_index", "r_e"))
    plain = np.all([parts[name] <= 0 for name in SHAPE_COLUMNS], 0)
    plain &= q > FLATTEST_CUSP
    cusped = plain & ((n > CUSPY) | (r_e < COMPACT))
    at = np.maximum(np.abs(parts["x"]), np.abs(parts["y"]))
    small, wide = CUSP_SAMPLES * frame.fine_step, CUSP_SAMPLES * frame.pixel_scale
    half = frame.fine_width * frame.pixel_scale / 2
    inner = cusped & (at < half - WINDOW_EDGE * small)
    outer = (cusped | (plain & (r_e < SMALL_R_E) & (at > half))) & ~inner & (at < frame.width * frame.pixel_scale / 2)
    brightness = np.digitize(parts["flux_VIS"], (BRIGHT_FLUX, BRIGHTEST_FLUX))
    x, y = points
    first_fine = len(x) - (frame.fine_width * frame.supersampling) ** 2
    outside = ((outer & (brightness == k), 2**k * wide, 0) for k in range(3))
    windows = ((inner, small, first_fine), *outside)
    for chosen, radius, first in windows:
        rows = np.flatnonzero(chosen)
        if len(rows) == 0:
            continue
        value = columns_of(rows_of(parts, rows), maps)
        m, p = near((x[first:], y[first:]), value["x"], value["y"], WINDOW_EDGE * radius).nonzero(as_tuple=True)
        p += first
        squared = (x[p] - value["x"][m, 0]) ** 2 + (y[p] - value["y"][m, 0]) ** 2
        maps[torch.as_tensor(rows).to(m.device)[m], p] *= 1 - window(squared, radius)
        (column, row), brightness = _core(value, small, radius, frame)
        yield from zip(rows.tolist(), map(Core, weights[rows], row.tolist(), column.tolist(), brightness), strict=True)


def near(points: tuple[Tensor, Tensor], x: Tensor, y: Tensor, radius: float | Tensor) -> Tensor:
    """Mask (M, P) of the points (P,), (P,) within a radius, one or (M, 1), of centres x, y (M, 1).

    The squared distance as a product of matrices, one pass over memory instead of six; its rounding may take or leave a
    point within 1e-5 arcsec^2 of the edge.
    """
    basis = torch.stack([points[0] ** 2 + points[1] ** 2, *points])
    weights = torch.cat([torch.ones_like(x), -2 * x, -2 * y], 1)
    return weights @ basis < radius**2 - x**2 - y**2


def _core(value: Columns, small: float, radius: float, frame: Frame) -> tuple[list[Tensor], Tensor]:
    """Light (M, S, S) of profiles in their windows, and the frame's fine sample (column, row) at which each square begins."""
    step, middle = frame.fine_step, (frame.width * frame.supersampling - 1) / 2
    cells = 2 * math.ceil(WINDOW_EDGE * radius / step) + 6
    dx, dy, area = (part.to(value["x"]) for part in nodes(small))
    cusp = [value[axis] / step + middle for axis in "xy"]
    first = [center.floor() - cells // 2 + 1 for center in cusp]
    near_cusp = profile(value["x"] + dx, value["y"] + dy, value)
    within = (center - begin + offset / step for center, begin, offset in zip(cusp, first, (dx, dy), strict=True))
    square = patch(near_cusp, *within, area / step**2, cells)
    if radius > small:
        line = torch.arange(cells, device=dx.device).to(dx)
        x, y = (((begin + line) - middle) * step for begin in first)
        x, y = (axis.reshape(len(axis), -1) for axis in torch.broadcast_tensors(x[:, None, :], y[:, :, None]))
        squared = (x - value["x"]) ** 2 + (y - value["y"]) ** 2
        share = window(squared, radius) - window(squared, small)
        square = square + (profile(x, y, value) * share).view_as(square)
    return [begin[:, 0].long() for begin in first], square
