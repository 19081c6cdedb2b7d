"""What the telescope does to light: bands, zero points, pixels, point spread and noise, each number with its source.

One order of bands, VIS Y J H, holds everywhere; a flux is in microjansky and an image in microjansky a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

AB_ZERO_POINT_MICROJANSKY = 23.9
"""AB magnitude of one microjansky."""


class Band(IntEnum):
    """The four bands of Euclid, valued by their place on the band axis."""

    VIS = 0
    Y = 1
    J = 2
    H = 3


N_BANDS = len(Band)


@dataclass(frozen=True)
class BandResponse:
    """What one band records.

    The noise numbers describe a pixel of the *delivered* mosaic (0.1 arcsec), not of the detector.
    """

    fits_name: str
    """prefix of this band's FITS extensions in Euclid's cutouts"""
    speclite_name: str
    """name of the filter curve in speclite"""
    mosaic_zero_point: float
    """AB magnitude of one count in the delivered mosaics; MAGZERO of the Q1 MER files"""
    psf_fwhm: float
    """full width at half maximum of the point spread before pixel integration at 0.1 arcsec [arcsec]"""
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
class Survey:
    """A survey's pixels and its bands in the order of `Band`."""

    name: str
    pixel_scale: float
    """[arcsec]"""
    bands: tuple[BandResponse, ...]

    def __post_init__(self) -> None:
        """Refuse a survey whose bands do not match `Band`."""
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
# 2405.13493). MAGZERO, sky scatter and its correlation: medians measured on Euclid Q1 MER cutouts (13 sightlines). The
# correlation of neighbouring sky pixels there is 0.27, 0.05 (VIS) and 0.80, 0.30 (near infrared) at lags 1 and 3 pixels.
# Point spread: medians of Moffat fits to the PSF extensions of the same cutouts; those include the resampling, and the
# fit takes out only the integration over the 0.1 arcsec pixel.
EUCLID = Survey(
    name="Euclid Wide",
    pixel_scale=0.1,
    bands=(
        BandResponse(
            "VIS",
            "Euclid-VIS",
            24.6,
            0.167,
            2.15,
            0.0026 * microjansky(24.6),
            (1.09, 0.667),
            _electrons_per_microjansky(25.72, 4 * 566.0),
        ),
        BandResponse(
            "NIR_Y",
            "Euclid-Y",
            29.8,
            0.44,
            5.0,
            0.56 * microjansky(29.8),
            (1.41, 0.09),
            _electrons_per_microjansky(25.04, 4 * 87.2, 18),
        ),
        BandResponse(
            "NIR_J",
            "Euclid-J",
            30.0,
            0.43,
            3.3,
            0.59 * microjansky(30.0),
            (1.41, 0.09),
            _electrons_per_microjansky(25.26, 4 * 87.2, 18),
        ),
        BandResponse(
            "NIR_H",
            "Euclid-H",
            29.9,
            0.486,
            3.45,
            0.56 * microjansky(29.9),
            (1.41, 0.09),
            _electrons_per_microjansky(25.21, 4 * 87.2, 18),
        ),
    ),
)
