"""Instrument of a survey: bands, zero points, pixels, point spread and noise, each number with its source.

One order of bands, VIS Y J H, holds everywhere; a flux is in microjansky and an image in microjansky a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

AB_ZERO_POINT_MICROJANSKY = 23.9
"""AB magnitude of one microjansky."""


class Band(IntEnum):
    """Bands of Euclid, valued by their index on the band axis.

    Examples
    --------
    >>> from lensdream import Band, Lens, simulate
    >>> [band.name for band in Band]
    ['VIS', 'Y', 'J', 'H']
    >>> simulate(Lens())[Band.VIS].shape
    (80, 80)
    """

    VIS = 0
    Y = 1
    J = 2
    H = 3


N_BANDS = len(Band)


@dataclass(frozen=True)
class BandResponse:
    """Response of one band.

    The noise numbers describe a pixel of the *delivered* mosaic (0.1 arcsec), not of the detector.
    """

    fits_name: str
    """prefix of this band's FITS extensions in Euclid's cutouts"""
    speclite_name: str
    """name of the filter curve in speclite"""
    mosaic_zero_point: float
    """AB magnitude of one count in the delivered mosaics; MAGZERO of the Q1 MER files"""
    detector_pixels: int
    """side of a detector pixel in pixels of the mosaic; above 1 the band is resampled from its dithered exposures"""
    psf_fwhm: float
    """full width at half maximum of the point spread before integration over the detector's pixel [arcsec]"""
    psf_beta: float
    """exponent of its Moffat profile; the smaller, the stronger the wings"""
    sky_sigma: float
    """scatter of empty sky [microjansky a pixel]"""
    sky_correlation: tuple[float, float]
    """length [pixel] of the correlated part of the sky noise and the share of its variance that is white"""
    electrons_per_microjansky: float
    """electrons that make the shot noise, per microjansky in a pixel, as seen after resampling"""


def microjansky(magnitude_ab: float) -> float:
    """Flux [microjansky] of an AB magnitude; works on floats and arrays."""
    return 10.0 ** (0.4 * (AB_ZERO_POINT_MICROJANSKY - magnitude_ab))


@dataclass(frozen=True)
class PointSpread:
    """Point spread of one field relative to the survey's typical one; every attribute is (band,)."""

    fwhm: tuple[float, ...]
    """factor on the full width at half maximum"""
    beta: tuple[float, ...]
    """factor on the Moffat exponent: below 1 the wings are stronger"""
    e_1: tuple[float, ...]
    """ellipticity along x, (a^2 - b^2) / (a^2 + b^2)"""
    e_2: tuple[float, ...]
    """ellipticity along the diagonal"""


TYPICAL_POINT_SPREAD = PointSpread((1.0,) * N_BANDS, (1.0,) * N_BANDS, (0.0,) * N_BANDS, (0.0,) * N_BANDS)


def _point_spreads(number: int) -> tuple[PointSpread, ...]:
    """Typical point spread, then others with the scatter of Moffat fits to 8 Euclid Q1 cutouts.

    VIS: 6 % in width, 15 % in exponent, 0.04 in each ellipticity. The near infrared scatters more, by 12 %, 25 % and 0.08;
    part of that is made by the dithers, and the rest is taken to be as in VIS. Half the scatter is common to all bands.
    """
    rng = np.random.default_rng(8)
    family = [TYPICAL_POINT_SPREAD]
    for _ in range(number - 1):
        common = rng.normal(0.0, 0.05)  # defocus and jitter widen all bands together
        widths = np.exp(common + rng.normal(0.0, 0.035, N_BANDS))
        exponents = np.exp(rng.normal(0.0, 0.11) + rng.normal(0.0, 0.1, N_BANDS))
        e_1, e_2 = rng.normal(0.0, 0.03, (2, 1)) + rng.normal(0.0, 0.027, (2, N_BANDS))
        family.append(PointSpread(*(tuple(map(float, values)) for values in (widths, exponents, e_1, e_2))))
    return tuple(family)


EXPOSURES = 4
"""dithered exposures of a field"""


def _dithers(number: int) -> tuple[tuple[tuple[int, int], ...], ...]:
    """Dither patterns: `EXPOSURES` offsets (y, x) of the detector's pixels, in mosaic pixels.

    The dithers are many detector pixels long, so the remainder within a pixel is random.
    """
    rng = np.random.default_rng(9)
    return tuple(tuple((int(y), int(x)) for y, x in rng.integers(0, 3, (EXPOSURES, 2))) for _ in range(number))


DITHERS = _dithers(24)


@dataclass(frozen=True)
class Survey:
    """Survey: pixels, bands in the order of `Band`, and the point spreads of its fields; `EUCLID` is one.

    Parameters
    ----------
    name : str
        The survey's name.
    pixel_scale : float
        Side of a pixel of the delivered mosaics [arcsec].
    bands : tuple of BandResponse
        Zero point, point spread and noise of VIS, Y, J, H.
    point_spreads : tuple of PointSpread
        Point spreads of the fields.

    Raises
    ------
    ValueError
        For another number of bands than four.

    Examples
    --------
    >>> from lensdream import EUCLID, Band
    >>> EUCLID.pixel_scale
    0.1
    >>> EUCLID.bands[Band.VIS].psf_fwhm  # [arcsec]
    0.167
    >>> [round(sigma, 4) for sigma in EUCLID.sky_sigma]  # [microjansky a pixel]
    [0.0013, 0.0023, 0.002, 0.0021]
    """

    name: str
    pixel_scale: float
    """[arcsec]"""
    bands: tuple[BandResponse, ...]
    point_spreads: tuple[PointSpread, ...] = (TYPICAL_POINT_SPREAD,)

    def __post_init__(self) -> None:
        """Raise ValueError for a survey whose bands do not match `Band`."""
        if len(self.bands) != N_BANDS:
            raise ValueError(
                f"a survey needs {N_BANDS} bands in the order {[b.name for b in Band]}, got {len(self.bands)}"
            )

    @property
    def sky_sigma(self) -> tuple[float, ...]:
        """Scatter of empty sky in each band [microjansky a pixel]."""
        return tuple(band.sky_sigma for band in self.bands)


def _electrons_per_microjansky(zero_point: float, exposure: float, resampled_pixels: float = 1.0) -> float:
    """Effective electrons per microjansky for a zero point of one e-/s and an exposure [s].

    `resampled_pixels`: where a detector pixel gathers 9 mosaic pixels' light and bilinear resampling halves the
    variance (mean of the squared weights, 0.70 an axis), the shot noise in a mosaic pixel is that of 18 times the light.
    """
    return 10.0 ** (0.4 * (zero_point - AB_ZERO_POINT_MICROJANSKY)) * exposure * resampled_pixels


# Zero points for one e-/s and exposures: lenstronomy 1.14.2 ObservationConfig/Euclid.py (arXiv:2405.13496, 2405.13501,
# 2405.13493). MAGZERO, sky scatter and its correlation: measured on the sky between the sources of Euclid Q1 MER cutouts
# (`benchmarks/noise.py`; medians of 8). The correlation of neighbouring sky pixels there is 0.23, 0.01 (VIS) and 0.82, 0.27
# (near infrared) at lags 1 and 3 pixels; faint galaxies left in raise it to 0.27, 0.05 and 0.80, 0.30 (13 sightlines).
# Point spread: VIS is the median of Moffat fits to the PSF extensions of the same cutouts, freed of the 0.1 arcsec pixel.
# In the near infrared it is the Moffat profile that, integrated over the 0.3 arcsec pixel and resampled bilinearly, fits the
# PSF extensions of 8 cutouts: within 0.35 arcsec it has 0.76, 0.70 and 0.63 of its light in Y, J and H, they 0.72, 0.67, 0.60.
EUCLID = Survey(
    name="Euclid Wide",
    pixel_scale=0.1,
    bands=(
        BandResponse(
            fits_name="VIS",
            speclite_name="Euclid-VIS",
            mosaic_zero_point=24.6,
            detector_pixels=1,
            psf_fwhm=0.167,
            psf_beta=2.15,
            sky_sigma=0.00247 * microjansky(24.6),
            sky_correlation=(0.78, 0.624),
            electrons_per_microjansky=_electrons_per_microjansky(25.72, 4 * 566.0),
        ),
        BandResponse(
            fits_name="NIR_Y",
            speclite_name="Euclid-Y",
            mosaic_zero_point=29.8,
            detector_pixels=3,
            psf_fwhm=0.24,
            psf_beta=2.9,
            sky_sigma=0.52 * microjansky(29.8),
            sky_correlation=(1.41, 0.09),
            electrons_per_microjansky=_electrons_per_microjansky(25.04, 4 * 87.2, 18),
        ),
        BandResponse(
            fits_name="NIR_J",
            speclite_name="Euclid-J",
            mosaic_zero_point=30.0,
            detector_pixels=3,
            psf_fwhm=0.24,
            psf_beta=2.15,
            sky_sigma=0.55 * microjansky(30.0),
            sky_correlation=(1.41, 0.09),
            electrons_per_microjansky=_electrons_per_microjansky(25.26, 4 * 87.2, 18),
        ),
        BandResponse(
            fits_name="NIR_H",
            speclite_name="Euclid-H",
            mosaic_zero_point=29.9,
            detector_pixels=3,
            psf_fwhm=0.34,
            psf_beta=2.7,
            sky_sigma=0.52 * microjansky(29.9),
            sky_correlation=(1.41, 0.09),
            electrons_per_microjansky=_electrons_per_microjansky(25.21, 4 * 87.2, 18),
        ),
    ),
    point_spreads=_point_spreads(16),
)
