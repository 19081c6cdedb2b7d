"""Flaws of the detectors and of the mosaics, drawn into a finished image.

Everything is drawn on the detector's own pixels: one mosaic pixel in VIS, three in the near infrared, where resampling
smears a flaw as bilinear interpolation does. A missing value is zero, as in an observation that lacks it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from lensdream.instrument import EUCLID, N_BANDS, Band

LONGEST_TRACK = 25.0
"""length of a cosmic ray's track [pixel of the detector]"""
FAINTEST_HIT, BRIGHTEST_HIT = 10.0, 500.0
"""brightness of a cosmic ray or a hot pixel [sky scatters]"""
SHARE_IN_VIS = 0.8
"""share of the hits that are in VIS: the near infrared is read up the ramp, and few hits survive that"""


@dataclass(frozen=True)
class ArtefactCounts:
    """Numbers of an image's flaws: the columns of `lensdream.scene` with these names."""

    cosmic_rays: int = 0
    hot_pixels: int = 0
    dead_columns: int = 0
    edge: float = 0.0
    """share of the stamp beyond the detector's edge"""
    edge_side: int = 0
    """0 left, 1 bottom, 2 right, 3 top; means nothing where edge is 0"""
    missing_bands: int = 0
    """sum of 2^band"""


def apply_artefacts(image: Tensor, row: ArtefactCounts, sky_sigma: Tensor, generator: torch.Generator) -> Tensor:
    """Image (band, y, x) [microjansky a pixel] with its flaws; the same object if it has none.

    sky_sigma (band,) [microjansky a pixel]; the generator is the CPU's, and the flaws follow from its state alone.
    """
    if row == ArtefactCounts(edge_side=row.edge_side):
        return image
    image = image.clone()
    # a row of a table of numbers holds them all as floats
    for number, draw in ((row.cosmic_rays, _cosmic_ray), (row.hot_pixels, _hot_pixel)):
        for _ in range(int(number)):
            _hit(image, sky_sigma, generator, draw)
    for _ in range(int(row.dead_columns)):
        _dead_column(image, sky_sigma, generator)
    if row.edge > 0:
        _edge(image, row.edge, int(row.edge_side), generator)
    for band in Band:
        if int(row.missing_bands) >> band & 1:
            image[band] = 0
    return image


def _hit(
    image: Tensor, sky_sigma: Tensor, generator: torch.Generator, draw: Callable[[int, int, torch.Generator], Tensor]
) -> None:
    """Add charge to a band, in place: `draw` returns it on the detector's pixels, 1 at its brightest."""
    band = _band(SHARE_IN_VIS, generator)
    scale = EUCLID.bands[band].detector_pixels
    height, width = image.shape[1:]
    # two pixels more than fit, so that the detector's grid can lie anywhere against the stamp
    charge = draw(height // scale + 2, width // scale + 2, generator)
    spread = interpolate(charge[None, None], scale_factor=scale, mode="bilinear", align_corners=False)[0, 0]
    top, left = (int(k) for k in torch.randint(scale, (2,), generator=generator))
    strength = FAINTEST_HIT * (BRIGHTEST_HIT / FAINTEST_HIT) ** float(torch.rand((), generator=generator))
    hit = spread[top : top + height, left : left + width].to(image)
    image[band] += strength * sky_sigma[band].to(image) * hit


def _cosmic_ray(height: int, width: int, generator: torch.Generator) -> Tensor:
    """Straight track one pixel wide on a detector (y, x), uneven along its length; most tracks are short."""
    start_y, start_x, turn, fraction = torch.rand(4, generator=generator).tolist()
    # log-uniform from 1 pixel; no longer than a third of the stamp, which binds where pixels are coarse
    along = torch.arange(0.0, min(LONGEST_TRACK**fraction, width / 3), 0.5)
    y = (start_y * height + along * torch.sin(torch.tensor(2 * torch.pi * turn))).floor().long()
    x = (start_x * width + along * torch.cos(torch.tensor(2 * torch.pi * turn))).floor().long()
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    charge = torch.zeros(height, width)
    charge[y[inside], x[inside]] = 1.0
    return charge * (0.4 + 0.6 * torch.rand(height, width, generator=generator))


def _hot_pixel(height: int, width: int, generator: torch.Generator) -> Tensor:
    """One bright pixel of a detector (y, x)."""
    charge = torch.zeros(height, width)
    charge.view(-1)[torch.randint(height * width, (), generator=generator)] = 1.0
    return charge


def _dead_column(image: Tensor, sky_sigma: Tensor, generator: torch.Generator) -> None:
    """Blank a column or row of one band, or shift it up or down by 3 to 30 sky scatters, in place."""
    band = _band(SHARE_IN_VIS, generator)
    lines = image[band] if torch.rand((), generator=generator) < 0.3 else image[band].T
    first = int(torch.randint(len(lines), (), generator=generator))
    line = lines[first : first + EUCLID.bands[band].detector_pixels]
    chance, strength = torch.rand(2, generator=generator).tolist()
    if chance < 0.5:
        line.zero_()
    else:
        line += (1 if chance < 0.75 else -1) * 3 * 10**strength * sky_sigma[band].to(image)


def _edge(image: Tensor, edge: float, side: int, generator: torch.Generator) -> None:
    """Blank what lies beyond the edge of VIS' or of the near infrared's detectors, in place."""
    bands = image[:1] if torch.rand((), generator=generator) < 0.5 else image[1:]
    # with the stamp turned so that the wanted side is the left one; y runs upwards, from the bottom
    lines = bands if side % 2 == 0 else bands.transpose(1, 2)
    beyond = round(edge * lines.shape[2])
    if side < 2:
        lines[..., :beyond] = 0
    else:
        lines[..., lines.shape[2] - beyond :] = 0


def _band(share_in_vis: float, generator: torch.Generator) -> Band:
    """Random band: VIS with this probability, else one of the near infrared."""
    chance = float(torch.rand((), generator=generator))
    other = int(torch.randint(1, N_BANDS, (), generator=generator))
    return Band.VIS if chance < share_in_vis else Band(other)
