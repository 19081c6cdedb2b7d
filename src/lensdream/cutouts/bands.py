"""Planes of a FITS file that make up one band, with their unit and pixel scale."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING

from lensdream.cutouts.fits_planes import CutoutError, FitsFile, Plane
from lensdream.instrument import EUCLID, Band, microjansky

if TYPE_CHECKING:
    from astropy.wcs import WCS


COARSEST_SCALE = 1.0
"""[arcsec] a larger pixel cannot show a lens of galaxy scale"""
BRIGHTEST, FAINTEST = 0.0, 60.0
"""zero points beyond these are mistakes [AB mag]"""
UNIT_TOLERANCE = 0.01
"""by which BUNIT and MAGZERO may differ; zero points are written with two digits"""


class Origin(Enum):
    """Telescope of the pixels; the value is the credit for figures."""

    EUCLID = "Euclid Q1 (ESA/Euclid)"
    HUBBLE = "HST (NASA/ESA, MAST)"
    SUBARU = "Hyper Suprime-Cam (NAOJ)"
    SIMULATION = ""


@dataclass(frozen=True)
class StandIn:
    """Band of another telescope, usable in place of VIS."""

    fits_name: str
    zero_point: float
    """AB magnitude of one count where MAGZERO is absent"""
    pixel_scale: float
    """[arcsec] where the header has none"""
    origin: Origin


# Zero point of one e-/s in F814W: ACS zero points of STScI (25.94 to 25.95 AB); drizzled ACS images have 0.05 arcsec.
# HSC coadds are scaled to a zero point of 27 with 0.168 arcsec pixels (Aihara et al. 2018). In the order of preference:
# sharp before blurred, then by how much of the wide VIS band a filter shares.
STAND_INS = (
    StandIn("F814W", 25.94, 0.05, Origin.HUBBLE),
    StandIn("HSC_I", 27.0, 0.168, Origin.SUBARU),
    StandIn("HSC_R", 27.0, 0.168, Origin.SUBARU),
    StandIn("HSC_Z", 27.0, 0.168, Origin.SUBARU),
    StandIn("HSC_G", 27.0, 0.168, Origin.SUBARU),
)


@dataclass(frozen=True)
class BandPlanes:
    """Planes of one band, with unit and pixel scale."""

    band: Band
    """band of the network's image"""
    label: str
    """name of the band in the file"""
    flux: Plane
    rms: Plane | None
    unit: float
    """microjansky of one count"""
    scale: float
    """[arcsec a pixel]"""
    sky: float
    """the survey's scatter of the sky [microjansky a pixel of 0.1 arcsec]"""
    assumed: tuple[str, ...]
    """flags of a zero point and a pixel scale that the header left out"""

    @property
    def flags(self) -> tuple[str, ...]:
        """Flags of everything that the file left out."""
        return self.assumed if self.rms is not None else (f"no_rms:{self.label}", *self.assumed)


def euclid_band(file: FitsFile, band: Band) -> BandPlanes | None:
    """Planes of one of Euclid's bands, None without it; raises `CutoutError` for planes that make no sense."""
    response = EUCLID.bands[band]
    return _planes(file, response.fits_name, band, response.mosaic_zero_point, EUCLID.pixel_scale)


def stand_in_for_vis(file: FitsFile) -> tuple[BandPlanes, Origin] | None:
    """Planes and telescope of the first band of `STAND_INS` in the file; None without one."""
    for band in STAND_INS:
        found = _planes(file, band.fits_name, Band.VIS, band.zero_point, band.pixel_scale)
        if found is not None:
            return found, band.origin
    return None


def _planes(file: FitsFile, name: str, band: Band, zero_point: float, scale: float) -> BandPlanes | None:
    """Planes by name, None without the flux; `zero_point` and `scale` serve where the header has none."""
    flux, rms = file.planes.get(f"{name}_FLUX"), file.planes.get(f"{name}_RMS")
    if flux is None:
        return None
    if len(flux.shape) != 2 or 0 in flux.shape:
        raise CutoutError(f"{flux.name} has the shape {flux.shape}, expected (y, x) with at least one pixel")
    if rms is not None and rms.shape != flux.shape:
        raise CutoutError(f"{rms.name} has the shape {rms.shape}, {flux.name} {flux.shape}: they must be equal")
    assumed = []
    magnitude, unit = flux.cards.number("MAGZERO"), flux_unit(flux.cards.value("BUNIT") or "")
    if magnitude is None and unit is None:
        assumed.append(f"assumed_zero_point:{name}")
        magnitude = zero_point
    if magnitude is not None:
        unit = _by_zero_point(flux, magnitude, unit)
    side = pixel_scale(flux)
    if side is None:
        assumed.append(f"assumed_pixel_scale:{name}")
        side = scale
    if not 0 < side <= COARSEST_SCALE:
        raise CutoutError(
            f"{flux.name} has pixels of {side:g} arcsec, expected more than 0 and at most {COARSEST_SCALE:g}"
        )
    return BandPlanes(band, name, flux, rms, unit, side, EUCLID.sky_sigma[band], tuple(assumed))


def _by_zero_point(flux: Plane, magnitude: float, by_header: float | None) -> float:
    """Microjansky of one count of an AB zero point; raises `CutoutError` where it makes no sense or BUNIT gainsays it."""
    if not BRIGHTEST < magnitude < FAINTEST:
        raise CutoutError(
            f"MAGZERO of {flux.name} is {magnitude:g}, expected an AB magnitude between {BRIGHTEST:g} and {FAINTEST:g}"
        )
    unit = microjansky(magnitude)
    if by_header is not None and abs(by_header / unit - 1) > UNIT_TOLERANCE:
        raise CutoutError(
            f"a count of {flux.name} is {unit:.4g} microjansky by MAGZERO = {magnitude:g} and {by_header:.4g} by BUNIT = "
            f"{flux.cards.value('BUNIT')}, at most {UNIT_TOLERANCE:.0%} apart is allowed: remove the card that is wrong"
        )
    return unit


@lru_cache(maxsize=64)
def flux_unit(text: str) -> float | None:
    """Microjansky of a unit such as Jy or nJy/pix; None for counts and all that is no flux of a pixel."""
    if "Jy" not in text:
        return None
    from astropy import units

    unit = units.Unit(text, parse_strict="silent")
    flux = [wanted for wanted in (units.uJy, units.uJy / units.pix) if unit.is_equivalent(wanted)]
    return unit.to(flux[0]) if flux else None


def world_coordinates(plane: Plane) -> WCS | None:
    """Celestial axes of a header, None without any; raises astropy's exceptions for cards that make no sense."""
    from astropy.io.fits import Header  # most cutouts need neither, and both take long to import
    from astropy.wcs import WCS

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wcs = WCS(Header.fromstring(plane.cards.text))
    return wcs.celestial if wcs.has_celestial else None


def pixel_scale(plane: Plane) -> float | None:
    """Side of a pixel [arcsec]: square root of its area by the world coordinate system, else PIXSCALE, else None."""
    celestial = (plane.cards.value("CTYPE1") or "").startswith(("RA", "DEC", "GLON", "GLAT", "ELON", "ELAT"))
    linear = [plane.cards.number(key) for key in ("CD1_1", "CD1_2", "CD2_1", "CD2_2")]
    if celestial and any(value is not None for value in linear):
        a, b, c, d = (value or 0.0 for value in linear)
        return 3600 * math.sqrt(abs(a * d - b * c))
    step_x, step_y = plane.cards.number("CDELT1"), plane.cards.number("CDELT2")
    if celestial and step_x is not None and step_y is not None:
        turns = [plane.cards.number(key) for key in ("PC1_1", "PC1_2", "PC2_1", "PC2_2")]
        a, b, c, d = (unit if turn is None else turn for turn, unit in zip(turns, (1.0, 0.0, 0.0, 1.0), strict=True))
        return 3600 * math.sqrt(abs(step_x * step_y * (a * d - b * c)))
    return plane.cards.number("PIXSCALE")
