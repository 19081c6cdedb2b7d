"""Bounds within which false-positive rates were measured, and flags of images outside of them.

The rates are of images in four bands of the survey, with its scatter and its sky; outside of these bounds a logit has no
measured rate. Scatters and values here are in units of the survey's sky, `EUCLID.sky_sigma`.
"""

from __future__ import annotations

import numpy as np

from lensdream.instrument import EUCLID, Band

FACTOR = 6.0
"""largest ratio of a scatter to the survey's, either way; 5,000 simulated images have 0.5 to 6, 17 real ones 0.6 to 1.5"""
LEAST_COVERED = 0.95
"""share of the area of the network's crop; one wide strip costs as much as two narrow ones, so the axes count together"""
RMS_OF_MOSAICS = (1.45, 4.2, 4.2, 4.2)
"""empty sky in Euclid's RMS maps, by band: of the detector's pixel before resampling; simulated files have 1"""
LARGEST_RMS = 1000.0
"""bound of one pixel: more than the shot noise of a full detector pixel"""
SKY = ((0.1, 0.1), (0.3, 0.2), (0.3, 0.2), (0.3, 0.2))
"""mean and width of the sky levels that training has, by band (`population.builder`)"""
WIDTHS = 4.0
"""number of widths within which a sky level counts as trained"""
SKY_ERROR = 0.5
"""error of the estimate of a sky level, in scatters of the image itself"""
BRIGHTEST = 1e5
"""largest value of a pixel; the brightest star of training, VIS 16, has 5e4"""
FAINTEST = -30.0
"""smallest value of a pixel; training has -19"""
PLATEAU = 4
"""pixels of the same largest value that count as saturation; in half precision two or three are equal by chance"""
PLATEAU_FROM = 30.0
"""value from which a plateau is looked for"""
TILES = 4
"""tiles on an axis that scatter and sky are measured in"""
STEP = 3
"""[pixel] between pixels whose second difference tells the scatter: near-infrared detector pixels are as wide"""


def with_data(pixels: np.ndarray, share: np.ndarray | None) -> np.ndarray:
    """Mask (y, x) of pixels with data; share: as in resampling, None for all. A flux of exactly 0 is missing data."""
    return pixels != 0 if share is None else (share > 0.5) & (pixels != 0)


def cover_flags(label: str, band: Band, data: np.ndarray, covered: float) -> list[str]:
    """Flag of a network's crop covered too little; data: (y, x) bool of it; covered: share of it inside the image.

    In VIS all pixels without data count. In the near infrared holes do not: a whole band may be missing, as in training.
    """
    share = min(covered, float(data.mean())) if band == Band.VIS else covered
    return [f"covered_{label}:{share:.2g}"] if share < LEAST_COVERED - 1e-6 else []


def pixel_flags(label: str, band: Band, pixels: np.ndarray, data: np.ndarray, side: int, area: float) -> list[str]:
    """Flags of a band's scatter, sky or single pixels outside of the bounds of training.

    pixels: (y, x) [microjansky a pixel of 0.1 arcsec]; data: (y, x) bool, where there are any; side: of the middle that a
    network takes [pixel]; area: input pixels that one of these was made of.
    """
    flags = []
    with np.errstate(over="ignore", invalid="ignore"):
        relative = pixels / np.float32(EUCLID.sky_sigma[band])
        levels = _medians(relative, data)
        scatter = _scatter(relative[::2], data[::2], levels, band)
    if scatter == 0:
        flags.append(f"constant:{label}")
    elif scatter is not None:
        flags += [f"noise_{label}:{scatter:.2g}"] if not 1 / FACTOR <= scatter <= FACTOR else []
        flags += _sky_flags(label, band, levels, scatter)
    middle = middle_of(pixels, side)
    return flags + _extremes(label, relative[middle][data[middle]], area)


def middle_of(pixels: np.ndarray, side: int) -> tuple[slice, slice]:
    """Rows and columns of the network's crop in the middle of a square image."""
    edge = (len(pixels) - side) // 2
    return slice(edge, edge + side), slice(edge, edge + side)


def rms_flags(label: str, band: Band, rms: np.ndarray, ratio: float) -> list[str]:
    """Flags of an RMS map outside of the bounds of training; rms: of the pixels with data [microjansky an input pixel].

    ratio: input pixels on a side of one of 0.1 arcsec.
    """
    if not rms.size:
        return []
    relative = rms * (ratio / EUCLID.sky_sigma[band])
    typical = float(np.median(relative))
    if not 1 / FACTOR <= typical <= FACTOR * RMS_OF_MOSAICS[band]:
        return [f"rms_{label}:{typical:.2g}"]
    odd = int(((relative < 1 / FACTOR) | (relative > LARGEST_RMS)).sum())
    return [f"odd_rms_{label}:{odd}"] if odd else []


def _extremes(label: str, taken: np.ndarray, area: float) -> list[str]:
    """Flags of saturated and of strongly negative pixels."""
    if not taken.size:
        return []
    top = float(taken.max())
    bright, low = int((taken > BRIGHTEST).sum()), int((taken < FAINTEST).sum())
    if not bright and top > PLATEAU_FROM:
        equal = int((taken >= top * (1 - 1e-6)).sum())
        bright = equal if equal * min(area, 1.0) > PLATEAU - 0.5 else 0
    return ([f"saturated_{label}:{bright}"] if bright else []) + ([f"negative_{label}:{low}"] if low else [])


def _scatter(relative: np.ndarray, data: np.ndarray, levels: np.ndarray, band: Band) -> float | None:
    """Scatter of the quiet parts of an image, relative to sky and shot noise; None with too little data.

    Of every second row, which is enough; levels: medians of the tiles.
    The second differences of pixels three apart have no slope of a galaxy in them and little of the correlation.
    """
    whole = slice(STEP, -STEP)
    if relative.shape[1] <= 2 * STEP:
        return None
    steps = np.abs(relative[:, 2 * STEP :] - 2 * relative[:, whole] + relative[:, : -2 * STEP])
    scatters = _medians(steps, data[:, 2 * STEP :] & data[:, whole] & data[:, : -2 * STEP]) * (1.4826 / 6**0.5)
    electrons = EUCLID.bands[band].electrons_per_microjansky * EUCLID.sky_sigma[band]
    return _quartile((scatters / np.sqrt(1 + np.clip(levels, 0, None) / electrons)).ravel())


def _sky_flags(label: str, band: Band, levels: np.ndarray, scatter: float) -> list[str]:
    """Flag of a sky level; levels: medians of the tiles."""
    mean, width = SKY[band]
    reach = WIDTHS * width + SKY_ERROR * max(scatter, 1.0)
    corner, sides, inner = _minimum(levels[::3, ::3]), _quartile(_sides(levels)), _minimum(levels[1:3, 1:3])
    if corner is None or sides is None or inner is None:
        return []
    # what is left in the corners where a galaxy's light falls with the square of the radius, from either place on
    above = min((corner - share * value) / (1 - share) for share, value in ((10 / 18, sides), (2 / 18, inner)))
    below = _quartile(np.concatenate([levels[::3, ::3].ravel(), _sides(levels)]))
    for level, outside in ((above, above > mean + reach), (below, below < mean - reach)):
        if outside:
            return [f"sky_{label}:{level:+.2g}"]
    return []


def _sides(levels: np.ndarray) -> np.ndarray:
    """Values of the eight tiles along the edges between the corners."""
    return np.concatenate([levels[::3, 1:3].ravel(), levels[1:3, ::3].ravel()])


def _minimum(values: np.ndarray) -> float | None:
    there = values[np.isfinite(values)]
    return float(there.min()) if there.size else None


def _quartile(values: np.ndarray) -> float | None:
    """Lower quartile of the finite values; None without any."""
    there = np.sort(values[np.isfinite(values)])
    return float(there[len(there) // 4]) if there.size else None


def _medians(values: np.ndarray, data: np.ndarray) -> np.ndarray:
    """Median of each of `TILES` x `TILES` tiles, NaN where fewer than a quarter of its pixels hold data."""
    tiles = np.sort(_tiled(np.where(data, values, np.float32(np.inf))), axis=-1)
    counts = _tiled(data).sum(axis=-1)
    medians = np.take_along_axis(tiles, (counts // 2)[..., None].clip(max=tiles.shape[-1] - 1), -1)[..., 0]
    return np.where(counts * 4 >= tiles.shape[-1], medians, np.nan)


def _tiled(image: np.ndarray) -> np.ndarray:
    """Tiles (TILES, TILES, pixels) of an image; up to three rows and columns at the end are left out."""
    height, width = (length // TILES for length in image.shape)
    cut = image[: height * TILES, : width * TILES].reshape(TILES, height, TILES, width)
    return cut.swapaxes(1, 2).reshape(TILES, TILES, height * width)
