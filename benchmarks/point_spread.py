"""Compare the simulated point spread with that of real Euclid cutouts; prints a table and one JSON object last.

Share of a star's light within circles around its centroid, band by band: medians over the `_PSF` extensions of the cutouts in
a folder, and over simulated stars in every field of the survey, cut to the same square. The simulated ones pass through all
that an image does but for the noise: detector pixels, dithers and resampling.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from astropy.io import fits

from lensdream.instrument import DITHERS, EUCLID, Band
from lensdream.optics.sampling import Frame
from lensdream.render.renderer import Renderer
from lensdream.scene import (
    BACKGROUND_COLUMNS,
    COMPONENT_COLUMNS,
    FLUX_COLUMNS,
    SCENE_COLUMNS,
    SKY_COLUMNS,
    Role,
    Scenes,
)

RADII = (0.15, 0.35, 0.7)
"""[arcsec]"""
STAR = 0.003
"""half-light radius of a component as small as a point [arcsec]"""
SIDES = {Band.VIS: 19, Band.Y: 31, Band.J: 31, Band.H: 31}
"""side of the square whose light counts as all: the extensions hold two pixels more, their peaks are off by one [pixel]"""
SUBPIXELS = 10
SIMULATED = Frame(stamp=47, padding=16, supersampling=9, fine_width=47, pixel_scale=EUCLID.pixel_scale)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of cutouts in Euclid's layout, searched for *.fits")
    arguments = parser.parse_args()
    files = sorted(arguments.folder.rglob("*.fits"))
    real: dict[Band, list[np.ndarray]] = {band: [] for band in Band}
    for path in files:
        with fits.open(path) as units:
            for band, response in zip(Band, EUCLID.bands, strict=True):
                if f"{response.fits_name}_PSF" in units:
                    spread = np.asarray(units[f"{response.fits_name}_PSF"].data, float)
                    real[band].append(encircled(middle(spread, SIDES[band])))
    if not any(real.values()):
        parser.error(f"no cutout with a _PSF extension in {arguments.folder}")
    stars = simulated_stars()
    rows = []
    for band in Band:
        ours = np.median([encircled(middle(star[band], SIDES[band])) for star in stars], 0)
        for radius, simulated, theirs in zip(RADII, ours, np.median(real[band], 0), strict=True):
            rows.append((band.name, radius, simulated, theirs, simulated / theirs))
    table = pd.DataFrame(rows, columns=["band", "radius", "simulated", "real", "ratio"])
    print(f"{len(files)} files, {len(stars)} simulated stars; share of the light within a radius [arcsec]")
    print(table.to_string(index=False, float_format="{:.3f}".format))
    print(json.dumps({f"{row.band}_within_{row.radius}_{side}": round(getattr(row, side), 4)
                      for row in table.itertuples() for side in ("simulated", "real", "ratio")}, indent=2))  # fmt: skip


def simulated_stars() -> np.ndarray:
    """Stars, one in each field of the survey, at random positions: (field, band, y, x), without noise."""
    rng = np.random.default_rng(3)
    numbers = range(len(EUCLID.point_spreads))
    row = dict.fromkeys(SCENE_COLUMNS, 0) | dict.fromkeys(SKY_COLUMNS, 1.0) | dict.fromkeys(BACKGROUND_COLUMNS, 0.0)
    fields = [row | {"index": k, "psf": k, "dither": rng.integers(len(DITHERS)), "family": "star"} for k in numbers]
    star = dict.fromkeys(COMPONENT_COLUMNS, 0.0) | dict.fromkeys(FLUX_COLUMNS, 1.0)
    star |= {"role": Role.TARGET, "r_e": STAR, "sersic_index": 0.5, "q": 1.0, "arm_pitch": 1.0}
    stars = [star | {"scene": k} | dict(zip("xy", rng.uniform(-0.15, 0.15, 2), strict=True)) for k in numbers]
    scenes = Scenes(pd.DataFrame(fields), pd.DataFrame(stars))
    renderer = Renderer(SIMULATED)
    return np.concatenate([renderer.light(scenes.take([k]))[0].double().numpy() for k in numbers])


def middle(image: np.ndarray, side: int) -> np.ndarray:
    """Square of this side around the brightest pixel; raises `ValueError` if the image does not hold it."""
    y, x = np.unravel_index(image.argmax(), image.shape)
    top, left = y - side // 2, x - side // 2
    square = image[max(top, 0) : top + side, max(left, 0) : left + side]
    if square.shape != (side, side):
        raise ValueError(
            f"a point spread {image.shape} with its peak at {(y, x)} does not hold {side} pixels around it"
        )
    return square


def encircled(spread: np.ndarray) -> np.ndarray:
    """Share of the light of a square (side, side) within each of `RADII` of its centroid; pixels count by their area inside."""
    spread = spread / spread.sum()
    y, x = np.indices(spread.shape)
    at = [(axis * spread).sum() for axis in (y, x)]
    fine = (np.arange(len(spread) * SUBPIXELS) + 0.5) / SUBPIXELS - 0.5
    squared = ((fine[:, None] - at[0]) ** 2 + (fine - at[1]) ** 2) * EUCLID.pixel_scale**2
    light = np.kron(spread, np.full((SUBPIXELS, SUBPIXELS), SUBPIXELS**-2.0))
    return np.array([light[squared < radius**2].sum() for radius in RADII])


if __name__ == "__main__":
    main()
