"""Compare the simulated sky with that of real Euclid cutouts; prints a table and one JSON object last.

Scatter of the pixels and their correlation with neighbours, band by band: medians over the cutouts in a folder and over as
many simulated pieces of empty sky, measured by the same estimator. It leaves out sources, found in any band and grown. All
statistics are robust: scatter is 1.4826 MAD, and correlation is that of Gnanadesikan & Kettenring (1972), from the scatter
of sums and differences.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from astropy.io import fits
from scipy.ndimage import binary_dilation, uniform_filter

from lensdream.cutouts.reader import BAD_RMS
from lensdream.instrument import EUCLID, N_BANDS, Band, microjansky
from lensdream.optics.sampling import Frame
from lensdream.render.renderer import Renderer
from lensdream.scene import BACKGROUND_COLUMNS, COMPONENT_COLUMNS, SCENE_COLUMNS, SKY_COLUMNS, Scenes

LAGS = range(7)
"""[pixel]"""
REPORTED = (1, 3)
SMOOTHED = 5
"""side of the square over which the sky is smoothed to find sources [pixel]"""
FAINTEST = 2.5
"""scatters of the smoothed sky above which a pixel belongs to a source"""
SOURCE_MARGIN = 6
"""margin around a source's pixels [pixel]"""
LEAST_SKY = 2000
"""pixels of sky that a cutout needs to count"""
BOUND, LEAST_DIFFERENCE = 0.1, 0.02
"""largest deviation of a ratio from 1; correlations closer than the second pass whatever their ratio, being near 0"""
SIMULATED = Frame(stamp=200, padding=16, supersampling=1, fine_width=8, pixel_scale=EUCLID.pixel_scale)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of cutouts in Euclid's layout, searched for *.fits")
    parser.add_argument("--figure", type=Path, help="PNG of the two correlation functions to write")
    parser.add_argument("--pieces", type=int, default=12, help="pieces of simulated sky (default 12)")
    arguments = parser.parse_args()
    files = sorted(arguments.folder.rglob("*.fits"))
    real = [measured for path in files if (measured := _measure(*_read(path))) is not None]
    if not real:
        parser.error(f"no cutout with VIS, Y, J, H and {LEAST_SKY} pixels of sky in {arguments.folder}")
    simulated = [_measure(image, np.ones_like(image, bool)) for image in _empty_sky(arguments.pieces)]
    table = _table(np.median(simulated, 0), np.median(real, 0))
    print(f"{len(real)} of {len(files)} files")
    print(f"goal: ratios within {BOUND:.0%} of 1, or correlations within {LEAST_DIFFERENCE}")
    print(table.to_string(index=False, float_format="{:.4g}".format))
    if arguments.figure:
        _draw(np.array(simulated), np.array(real), arguments.figure)
    found = {
        "cutouts": len(real),
        "within_bound": bool(table["within"].all()),
        **{f"{row.band}_{row.quantity}_{side}": round(getattr(row, side), 5)
           for row in table.itertuples() for side in ("simulated", "real", "ratio")},
    }  # fmt: skip
    print(json.dumps(found, indent=2))


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Bands of a cutout (band, y, x) [microjansky a pixel] and the mask of good pixels; empty without a band."""
    images, good = [], []
    with fits.open(path) as units:
        for band in EUCLID.bands:
            if f"{band.fits_name}_FLUX" not in units:
                return np.zeros((N_BANDS, 0, 0)), np.zeros((N_BANDS, 0, 0), bool)
            flux = units[f"{band.fits_name}_FLUX"]
            values = np.asarray(flux.data, float)
            images.append(np.nan_to_num(values) * microjansky(flux.header["MAGZERO"]))
            good.append(np.isfinite(values) & (units[f"{band.fits_name}_RMS"].data < BAD_RMS) & (values != 0))
    return np.stack(images), np.stack(good)


def _empty_sky(pieces: int) -> list[np.ndarray]:
    """Images (band, y, x) [microjansky a pixel] of empty scenes."""
    row = dict.fromkeys(SCENE_COLUMNS, 0) | dict.fromkeys(SKY_COLUMNS, 1.0) | dict.fromkeys(BACKGROUND_COLUMNS, 0.0)
    table = pd.DataFrame([row | {"index": k, "seed": k, "split": "test", "family": "empty"} for k in range(pieces)])
    scenes = Scenes(table, pd.DataFrame(columns=list(COMPONENT_COLUMNS), dtype=float))
    renderer = Renderer(SIMULATED)
    return [renderer.render(scenes.take([k])).images[0].double().numpy() for k in range(pieces)]


def _measure(image: np.ndarray, good: np.ndarray) -> np.ndarray | None:
    """Scatter, then correlation at `LAGS` along x and along y, of each band (band, 1 + 2 lags); None without enough sky."""
    if image.size == 0:
        return None
    sky = _empty(image, good)
    if sky.sum() < LEAST_SKY:
        return None
    return np.array(
        [
            [_scatter(band[sky]), *(_correlation(band, sky, lag, axis) for axis in (1, 0) for lag in LAGS)]
            for band in image
        ]
    )


def _empty(image: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Pixels (y, x) without sources: those above the smoothed sky of any band are left out, until none is."""
    sky = good.all(0)
    bad = ~sky
    smoothed = [uniform_filter(np.where(bad, np.median(band[sky]), band), SMOOTHED) for band in image]
    for _ in range(20):
        if sky.sum() < LEAST_SKY:
            return sky
        bright = [band > np.median(band[sky]) + FAINTEST * _scatter(band[sky]) for band in smoothed]
        # lone pixels are noise: a source fills the smoothing square
        sources = [uniform_filter(mask.astype(float), 3) > 0.99 for mask in bright]
        found = ~bad & ~binary_dilation(np.any(sources, 0), iterations=SOURCE_MARGIN)
        if (found == sky).all():
            break
        sky = found
    return sky


def _scatter(values: np.ndarray) -> float:
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def _correlation(band: np.ndarray, sky: np.ndarray, lag: int, axis: int) -> float:
    """Correlation coefficient of pixels of sky this far apart along an axis."""
    n = band.shape[axis]
    (a, b), (both_a, both_b) = (
        (np.take(plane, range(n - lag), axis), np.take(plane, range(lag, n), axis)) for plane in (band, sky)
    )
    both = both_a & both_b
    together, apart = _scatter((a + b)[both]) ** 2, _scatter((a - b)[both]) ** 2
    return (together - apart) / (together + apart)


def _table(simulated: np.ndarray, real: np.ndarray) -> pd.DataFrame:
    """Table of band and quantity, real and simulated, and their ratio, from medians (band, 1 + 2 lags)."""
    columns = {"sigma": 0}
    for start, axis in ((1, "x"), (1 + len(LAGS), "y")):
        columns |= {f"lag_{lag}_{axis}": start + lag for lag in REPORTED}
    rows = [
        (band.name, name, simulated[band, column], real[band, column], simulated[band, column] / real[band, column])
        for band in Band
        for name, column in columns.items()
    ]
    table = pd.DataFrame(rows, columns=["band", "quantity", "simulated", "real", "ratio"])
    close = (table["simulated"] - table["real"]).abs().le(LEAST_DIFFERENCE) & table["quantity"].ne("sigma")
    return table.assign(within=table["ratio"].sub(1).abs().le(BOUND) | close)


def _draw(simulated: np.ndarray, real: np.ndarray, path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, N_BANDS, figsize=(3 * N_BANDS, 3), sharey=True, layout="constrained")
    for band, axis in zip(Band, axes, strict=True):
        for side, label, colour in ((real, "Euclid Q1", "black"), (simulated, "simulated", "tab:orange")):
            values = side[:, band, 1:].reshape(len(side), 2, len(LAGS)).mean(1)
            axis.plot(LAGS, np.median(values, 0), "o-", color=colour, label=label)
            axis.fill_between(LAGS, *np.percentile(values, [16, 84], axis=0), color=colour, alpha=0.2, lw=0)
        axis.set(title=band.name, xlabel="lag [pixel]")
    axes[0].set_ylabel("correlation of sky pixels")
    axes[0].legend(frameon=False)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
