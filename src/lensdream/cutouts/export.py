"""Export of images as FITS files in the layout of Euclid's cutouts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from astropy.io import fits

from lensdream.cutouts.reader import SIMULATED
from lensdream.dataset.store import ImageStore, StoreError
from lensdream.instrument import EUCLID, N_BANDS, Band, BandResponse, microjansky
from lensdream.runtime.files import replaced_whole

FACTS = {
    "family": "FAMILY",
    "split": "SPLIT",
    "label": "LABEL",
    "index": "SCENE",
    "seed": "SEED",
    "z_lens": "Z_LENS",
    "z_source_1": "Z_SRC_1",
    "z_source_2": "Z_SRC_2",
    "theta_E_1": "THETA_E1",
    "theta_E_2": "THETA_E2",
    "arc_snr": "ARC_SNR",
}
"""columns of the truth table that become cards of the first header"""
CHUNK = 64


def export_fits(store: ImageStore | Path, out: Path, family: str, n: int) -> list[Path]:
    """Write the first `n` images of a family into the folder `out`, one file each; returns the files.

    `store` may be a store's folder. Raises `StoreError` for a family that is not there (with those that are) or one
    with fewer than `n` images, `ValueError` for an `n` below 1.
    """
    if n < 1:
        raise ValueError(f"n = {n}: export at least 1 image")
    opened = store if isinstance(store, ImageStore) else ImageStore.open(store)
    families = opened.truth["family"]
    positions = np.flatnonzero(families == family)
    if len(positions) == 0:
        there = ", ".join(f"{name} ({count})" for name, count in families.value_counts().items())
        raise StoreError(f"no family {family!r} in {opened.folder}; there are {there or 'no images at all'}")
    if len(positions) < n:
        raise StoreError(
            f"the family {family!r} of {opened.folder} has {len(positions)} images, {n} were asked for: ask for fewer"
        )
    files: list[Path] = []
    for start in range(0, n, CHUNK):
        chosen = positions[start : min(start + CHUNK, n)]
        for image, (_, row) in zip(opened.images(chosen), opened.truth.iloc[chosen].iterrows(), strict=True):
            path = out / f"{family}-{int(row['index']):07d}.fits"
            facts = {card: _plain(row[column]) for column, card in FACTS.items() if column in row}
            write_cutout(path, image.astype(np.float32), f"{family} {int(row['index'])}", facts)
            files.append(path)
    return files


def _plain(value: object) -> str | float | int:
    return value.item() if isinstance(value, np.generic) else value  # type: ignore[return-value]


PSF_SIDE = {Band.VIS: 21, Band.Y: 33, Band.J: 33, Band.H: 33}
"""sides of the point spread pictures in Euclid's files [pixel]"""
SAMPLES = 11
"""samples an axis in a pixel of the point spread"""


def write_cutout(
    path: Path,
    image: np.ndarray,
    name: str,
    facts: Mapping[str, str | float | int] | None = None,
    centre: tuple[float, float] = (0.0, 0.0),
) -> None:
    """Write an image (band, y, x) [microjansky a pixel of 0.1 arcsec]; the file appears whole or not at all.

    `name` becomes OBJECT; `facts` become cards of the first header (keywords of up to 8 letters; NaN is left out);
    `centre`: right ascension and declination of the middle [degree]. The RMS extensions hold the survey's scatter of
    the sky, without correlation or shot noise. Raises `ValueError` for another shape.
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[0] != N_BANDS or 0 in image.shape:
        raise ValueError(f"an image has the shape ({N_BANDS}, y, x) with at least one pixel, got {image.shape}")
    first = fits.PrimaryHDU()
    first.header["OBJECT"] = name
    first.header["ORIGIN"] = (SIMULATED, "not an observation")
    for keyword, value in (facts or {}).items():
        if value == value:  # FITS has no NaN in headers
            first.header[keyword] = value
    units: list[fits.PrimaryHDU | fits.ImageHDU] = [first]
    for band in Band:
        units += _extensions(band, image[band].astype(np.float64), centre)
    with replaced_whole(path) as part:
        fits.HDUList(units).writeto(part, overwrite=True)


def _extensions(band: Band, picture: np.ndarray, centre: tuple[float, float]) -> list[fits.ImageHDU]:
    response = EUCLID.bands[band]
    unit = microjansky(response.mosaic_zero_point)
    flux = fits.ImageHDU((picture / unit).astype(np.float32), _world_coordinates(picture.shape, centre))
    flux.name = f"{response.fits_name}_FLUX"
    flux.header["MAGZERO"] = (response.mosaic_zero_point, "AB zeropoint")
    flux.header["FILTER"] = response.fits_name
    rms = np.full(picture.shape, response.sky_sigma / unit, np.float32)
    return [
        flux,
        fits.ImageHDU(_point_spread(response, PSF_SIDE[band]), name=f"{response.fits_name}_PSF"),
        fits.ImageHDU(rms, name=f"{response.fits_name}_RMS"),
    ]


def _world_coordinates(shape: tuple[int, ...], centre: tuple[float, float]) -> fits.Header:
    """Cards of a gnomonic projection, north up and east to the left."""
    step = EUCLID.pixel_scale / 3600
    cards = fits.Header()
    cards["RADESYS"] = "ICRS"
    for axis, (kind, size, sign, value) in enumerate(
        (("RA---TAN", shape[1], -1, centre[0]), ("DEC--TAN", shape[0], 1, centre[1])), start=1
    ):
        cards[f"CTYPE{axis}"] = kind
        cards[f"CUNIT{axis}"] = "deg"
        cards[f"CRVAL{axis}"] = value
        cards[f"CRPIX{axis}"] = (size + 1) / 2
        cards[f"CD{axis}_{axis}"] = sign * step
    return cards


def _point_spread(response: BandResponse, side: int) -> np.ndarray:
    """Picture of the survey's Moffat profile over pixels of 0.1 arcsec: (side, side) float32 of sum 1."""
    radius = response.psf_fwhm / (2 * np.sqrt(2 ** (1 / response.psf_beta) - 1)) / EUCLID.pixel_scale
    samples = (np.arange(side * SAMPLES) + 0.5) / SAMPLES - side / 2
    squared = samples[:, None] ** 2 + samples[None] ** 2
    profile = (1 + squared / radius**2) ** -response.psf_beta
    pixels = profile.reshape(side, SAMPLES, side, SAMPLES).sum((1, 3))
    return (pixels / pixels.sum()).astype(np.float32)
