"""Unit profiles of the components of a table, by the formulas of `optics.sersic`."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lensdream.optics.sersic import dust_lane, elliptical_coordinates, ring, sersic, spiral_arms

SERSIC_COLUMNS = ("x", "y", "r_e", "sersic_index", "q", "phi")
SHAPE_COLUMNS = {"ring_width": (), "arm_contrast": ("arm_number", "arm_pitch", "arm_phase"), "dust_width": ()}
"""column that adds a shape to a Sersic profile where it is above 0: further columns of that shape"""

Parts = dict[str, np.ndarray]
"""columns (M,) of the table of components: taking rows and columns of a `DataFrame` would cost a tenth of rendering"""
Columns = dict[str, Tensor]
"""such columns on the device, along the first axis of the points they are used with"""


def rows_of(parts: Parts, rows: np.ndarray) -> Parts:
    """Components at these rows."""
    return {name: column[rows] for name, column in parts.items()}


def columns_of(parts: Parts, like: Tensor) -> Columns:
    """Columns (M, 1) that the profiles of these components need, on the device and of the type of `like`.

    Shapes that none has are left out.
    """
    names = list(SERSIC_COLUMNS)
    for column, others in SHAPE_COLUMNS.items():
        if (parts[column] > 0).any():
            names += [column, *others]
    table = torch.as_tensor(np.stack([parts[name] for name in names]).astype(np.float64)).to(like)
    return dict(zip(names, table[..., None].unbind(), strict=True))


def select(value: Columns, rows: Tensor) -> Columns:
    """Columns of the components at these positions, which may repeat."""
    table = torch.stack(list(value.values()))
    table = table.index_select(1, rows.to(table.device))
    return dict(zip(value, table.unbind(), strict=True))


def profile(x: Tensor, y: Tensor, value: Columns) -> Tensor:
    """Unit profiles at (x, y) [arcsec] of components whose columns broadcast against it."""
    u, v = elliptical_coordinates(x, y, value["q"], value["phi"], value["x"], value["y"])
    maps = sersic(u, v, value["r_e"], value["sersic_index"])

    def rows_with(column: str) -> Tensor:
        """Positions, along the first axis, of the components with a column above 0."""
        if column not in value:
            return torch.empty(0, dtype=torch.long, device=maps.device)
        return (value[column].reshape(len(maps), -1)[:, 0] > 0).nonzero()[:, 0]

    if len(rows := rows_with("ring_width")):
        maps[rows] = ring(u[rows], v[rows], value["r_e"][rows], value["ring_width"][rows])
    if len(rows := rows_with("arm_contrast")):
        arms = (value[f"arm_{name}"][rows] for name in ("contrast", "number", "pitch", "phase"))
        maps[rows] *= spiral_arms(u[rows], v[rows], value["r_e"][rows], *arms)
    if len(rows := rows_with("dust_width")):
        maps[rows] *= dust_lane(v[rows], value["q"][rows], value["dust_width"][rows])
    return maps
