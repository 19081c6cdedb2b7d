"""Reader of real cutouts: four bands in microjansky a pixel, on the grid of 0.1 arcsec.

Euclid's layout has the extensions `VIS_FLUX`, `NIR_Y_FLUX`, `NIR_J_FLUX`, `NIR_H_FLUX` and a `_RMS` and `_PSF` of
each, in any order. Where VIS is missing, Hubble's `F814W_FLUX` or a band of Hyper Suprime-Cam takes its
place. Other telescopes' bands are ignored.

Corrections, each with a flag: pixels without data become 0, the sky, except in the object's core, where they are filled in
from the pixels around (`bad_pixels`); with many of them in VIS no score is compared with a threshold. A near-infrared band
that is absent or has no data becomes zeros, as a band that training dropped, and so does one that is left alone. A stamp that
reaches over the edge is filled up with zeros. A VIS image that has slid against the others is moved back, a near-infrared
image that was cut out elsewhere is moved, one that is rotated against VIS becomes zeros (`alignment`). The sky is left as it
is: in wide cutouts of Euclid Q1 its median lies 0 to 0.4 scatters above zero, as in the simulated images, and higher only
where galaxies fill the cutout. Images without a measured false-positive rate (VIS alone, another band in its place, assumed
units, pixels beyond the bounds in `measured`) are scored, but not compared with a threshold.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lensdream.cutouts.alignment import agreement, displacement, shift_to_vis
from lensdream.cutouts.bad_pixels import MOST_FILLED, filled_in
from lensdream.cutouts.bands import STAND_INS, BandPlanes, Origin, euclid_band, stand_in_for_vis, world_coordinates
from lensdream.cutouts.fits_planes import NAMED_FITS, CutoutError, FitsFile, Plane, open_planes
from lensdream.cutouts.measured import cover_flags, middle_of, pixel_flags, rms_flags, with_data
from lensdream.cutouts.resample import Window, read_square, sum_onto, window_around
from lensdream.instrument import EUCLID, N_BANDS, Band

__all__ = ["Cutout", "CutoutError", "Origin", "PixelPosition", "SkyPosition", "read_cutout", "text_of"]

BAD_RMS = 1e8
"""an RMS from here on marks a bad pixel; Euclid writes 1e16, some Hubble products 1e8"""
EMPTY_RMS = 0.1
"""a flux of exactly 0 with an RMS below this many sky scatters marks no data; Euclid's VIS writes 1e-4 counts there"""
MOST_BAD = 0.3
"""largest share of VIS pixels in the stamp that may be bad"""
STAMP = 80
"""side of the images that the networks are trained on [pixel of 0.1 arcsec]"""
MIDDLE = 64
"""side of the network's crop in the middle of a stamp, by default [pixel]"""
LEAST_COVERED = 0.85
"""share of the crop that an image has to cover on each axis: a plain lens loses four in the logit at 0.9 and is none at 0.8"""
LEAST_AGREEMENT = 0.5
"""correlation with VIS of a band that lies as VIS does: real bands have 0.9 and more, at other positions -0.04"""
SIMULATED = "lensdream simulation"
"""ORIGIN of the files of `export`"""
INFRARED = (Band.Y, Band.J, Band.H)


def text_of(path: Path | str) -> str:
    """Write a path so that any file can hold it: bytes that are not UTF-8 become backslash escapes."""
    return str(path).encode(errors="backslashreplace").decode()


@dataclass(frozen=True)
class PixelPosition:
    """Position in the VIS image of a file: pixel centres at whole numbers from 0."""

    x: float
    y: float


@dataclass(frozen=True)
class SkyPosition:
    """Position on the sky, ICRS [degree]; needs a world coordinate system in the VIS header."""

    ra: float
    dec: float


@dataclass(frozen=True)
class Cutout:
    """Image of one file on the network's grid, with flags of missing and corrected pixels; made by `read_cutout`.

    Attributes
    ----------
    path : Path
        The file.
    object : str
        OBJECT of the first header, else the file's name without suffix.
    image : ndarray
        (band, stamp, stamp) float32 [microjansky a pixel of 0.1 arcsec].
    flags : tuple of str
        What was missing or corrected, such as `missing:NIR_J` or `bad_pixels_VIS:0.03`.
    origin : Origin
        The telescope or survey that the VIS image is of.
    bad_core : int
        Bad VIS pixels in the object's core.
    unmeasured : tuple of str
        Flags for which no false-positive rate was measured: with any, the score is compared with no threshold.

    Examples
    --------
    >>> from pathlib import Path
    >>> from lensdream import Lens, read_cutout, simulate
    >>> from lensdream.cutouts.export import write_cutout
    >>> write_cutout(Path("lens.fits"), simulate(Lens()), "a lens")
    >>> cutout = read_cutout(Path("lens.fits"))
    >>> cutout.object, cutout.flags, cutout.image.shape
    ('a lens', (), (4, 80, 80))
    """

    path: Path
    object: str
    """OBJECT of the first header, else the file's name without suffix"""
    image: np.ndarray
    """(band, stamp, stamp) float32 [microjansky a pixel of 0.1 arcsec]"""
    flags: tuple[str, ...]
    """what was missing or corrected, such as `missing:NIR_J` or `bad_pixels_VIS:0.03`"""
    origin: Origin
    bad_core: int
    """bad VIS pixels in the object's core"""
    unmeasured: tuple[str, ...] = ()
    """those of the flags for which no false-positive rate was measured: with any, the score is not compared with a threshold"""


@dataclass(frozen=True)
class _Picture:
    """Pixels of one band on the network's grid."""

    pixels: np.ndarray
    """(stamp, stamp) float32 [microjansky a pixel]"""
    bad: float
    """share of pixels without data, those beyond the image's edge not counted"""
    flags: tuple[str, ...]
    share: np.ndarray | None = None
    """(stamp, stamp) of each pixel that has data; None where all have"""
    outside: tuple[str, ...] = ()
    """flags of pixels outside of what was trained; see `measured`"""

    @property
    def empty(self) -> bool:
        return not self.pixels.any()


def read_cutout(
    path: Path, stamp: int = STAMP, centre: PixelPosition | SkyPosition | None = None, middle: int = MIDDLE
) -> Cutout:
    """Read one FITS file in the layout of Euclid's cutouts, onto the network's grid.

    Parameters
    ----------
    path : Path
        The file, gzipped or not; the module's docstring has its extensions.
    stamp : int
        Side of the image [pixel of 0.1 arcsec].
    centre : PixelPosition or SkyPosition, optional
        Where the object is; by default in the middle of the images.
    middle : int
        Side of the part of the image that the network takes in, which the file has to cover [pixel of 0.1 arcsec].

    Returns
    -------
    Cutout
        The image, (4, stamp, stamp) [microjansky a pixel], with flags for what was missing or corrected.

    Raises
    ------
    CutoutError
        For a file that cannot be scored, with the reason: damaged, without VIS, without data there, or not covering the
        middle.

    Examples
    --------
    >>> from pathlib import Path
    >>> from lensdream import Lens, read_cutout, simulate
    >>> from lensdream.cutouts.export import write_cutout
    >>> image = simulate(Lens(theta_E=1.2))
    >>> write_cutout(Path("lens.fits"), image, "a lens")
    >>> cutout = read_cutout(Path("lens.fits"))
    >>> float(abs(cutout.image - image).max()) < 1e-5
    True
    """
    path = Path(path)
    with open_planes(path) as file:
        vis, origin = _vis_of(file)
        stands_in = origin in {band.origin for band in STAND_INS}
        infrared = {band: euclid_band(file, band) for band in INFRARED if not stands_in}
        shifts = {band: shift_to_vis(found, vis) for band, found in infrared.items() if found is not None}
        moved = displacement(vis, [infrared[band] for band, shift in shifts.items() if shift == (0, 0)])
        offset = (0.0, 0.0) if centre is None else _offset(vis, centre, moved)
        picture = _picture(vis, (offset[0] - moved[0] * vis.scale, offset[1] - moved[1] * vis.scale), stamp, middle)
        if picture.empty:
            raise CutoutError(f"{vis.label} has no data: every pixel of the stamp is 0 or bad")
        if picture.bad > MOST_BAD + 1e-6:
            raise CutoutError(
                f"{picture.bad:.0%} of the stamp's {vis.label} pixels are bad, at most {MOST_BAD:.0%} may be"
            )
        image = np.zeros((N_BANDS, stamp, stamp), np.float32)
        image[Band.VIS], bad_core = _filled_in(picture, vis)
        flags = [f"VIS_from:{vis.label}"] if stands_in else []
        flags += [f"moved_VIS:{moved[1]:+d},{moved[0]:+d}"] if any(moved) else []
        flags += [*vis.flags, *picture.flags]
        flags += _bad_core(vis, bad_core)
        unmeasured = flags[:1] if stands_in else []
        unmeasured += _bad_core(vis, bad_core) if bad_core > MOST_FILLED else []
        unmeasured += [*vis.assumed, *picture.outside]
        for band in INFRARED:
            found, shift = infrared.get(band), shifts.get(band)
            if found is not None and shift is None:
                flags.append(f"turned:{found.label}")
                continue
            try:
                picture = None if found is None else _shifted(found, shift, image[Band.VIS], offset, middle)
            except _TooLittle:  # what VIS lacks skips a file, what another band lacks costs that band
                flags.append(f"small:{found.label}")
                continue
            if picture is None or picture.empty:
                flags.append(f"missing:{EUCLID.bands[band].fits_name}")
                continue
            image[band], n_bad = _filled_in(picture, found)
            flags += [*found.flags, *picture.flags, *_bad_core(found, n_bad)]
            unmeasured += [*found.assumed, *picture.outside]
        there = [band for band in INFRARED if image[band].any()]
        if len(there) == 1:
            # Training lost one near-infrared band or all three: with two lost, lenses are missed that are found with none.
            image[there] = 0
            flags.append(f"dropped:{EUCLID.bands[there[0]].fits_name}")
        if len(there) < 2 and not stands_in:
            unmeasured.append("alone:VIS")
        flags += [f"no_flux:{name}" for name in _without_flux(file)]
        flags += [flag for flag in unmeasured if flag not in flags]
        name = file.primary.value("OBJECT") or text_of(NAMED_FITS.sub("", path.name))
    return Cutout(path, name, image, tuple(flags), origin, bad_core, tuple(unmeasured))


def _filled_in(picture: _Picture, band: BandPlanes) -> tuple[np.ndarray, int]:
    """Fill in the object's core; returns the pixels and how many of the core's were bad."""
    return (picture.pixels, 0) if picture.share is None else filled_in(picture.pixels, picture.share, band.sky)


def _bad_core(band: BandPlanes, n_bad: int) -> list[str]:
    return [f"bad_core_{band.label}:{n_bad}"] if n_bad else []


def _without_flux(file: FitsFile) -> list[str]:
    """Bands with an RMS or a PSF only, as in a file that ended too early."""
    bands = dict.fromkeys(name[:-4] for name in file.planes if name.endswith(("_RMS", "_PSF")))
    return [band for band in bands if f"{band}_FLUX" not in file.planes]


def _vis_of(file: FitsFile) -> tuple[BandPlanes, Origin]:
    """Planes and telescope of VIS, or of the band in its place."""
    vis = euclid_band(file, Band.VIS)
    if vis is not None:
        simulated = file.primary.value("ORIGIN") == SIMULATED
        return vis, Origin.SIMULATION if simulated else Origin.EUCLID
    other = stand_in_for_vis(file)
    if other is not None:
        return other
    names = (EUCLID.bands[Band.VIS].fits_name, *(band.fits_name for band in STAND_INS))
    wanted = " or ".join(f"{name}_FLUX" for name in names)
    raise CutoutError(f"no extension {wanted}; there are {', '.join(file.planes) or 'none with a name'}")


def _offset(vis: BandPlanes, centre: PixelPosition | SkyPosition, moved: tuple[int, int]) -> tuple[float, float]:
    """Offset (y, x) of the stamp's centre from the middle of the image [arcsec]."""
    height, width = vis.flux.shape
    if isinstance(centre, SkyPosition):
        centre, moved = _to_pixel(vis.flux, centre), (0, 0)
    if not (-0.5 <= centre.x <= width - 0.5 and -0.5 <= centre.y <= height - 0.5):
        place = f"x = {centre.x:.1f}, y = {centre.y:.1f}"
        raise CutoutError(f"the position {place} lies outside of the image of {width} x {height} pixels")
    y, x = centre.y + moved[0] - (height - 1) / 2, centre.x + moved[1] - (width - 1) / 2
    return y * vis.scale, x * vis.scale


def _to_pixel(plane: Plane, position: SkyPosition) -> PixelPosition:
    from astropy.wcs import NoConvergence

    wcs = world_coordinates(plane)
    if wcs is None:
        raise CutoutError(f"{plane.name} has no world coordinate system: give the position in pixels")
    try:
        x, y = wcs.all_world2pix(position.ra, position.dec, 0)
    except NoConvergence:
        raise CutoutError(f"ra = {position.ra:g}, dec = {position.dec:g} is nowhere near {plane.name}") from None
    return PixelPosition(float(x), float(y))


@contextmanager
def _blaming(plane: Plane) -> Iterator[None]:
    """Context that turns an overflow into a `CutoutError` with the name of the plane."""
    try:
        with np.errstate(over="raise"):
            yield
    except FloatingPointError:
        raise CutoutError(f"{plane.name} holds values beyond the range of float32") from None


class _TooLittle(CutoutError):
    """Image that covers too little of the network's crop."""


def _check_middle(flux: Plane, middle: Window) -> None:
    """Refuse an image that covers too little of the network's crop: zeros in place of sky hide a lens."""
    height, width = flux.shape
    covered = [share * middle.side for share in middle.covered(flux.shape)]
    if min(covered) < LEAST_COVERED * middle.side:
        raise _TooLittle(
            f"{flux.name} of {width} x {height} pixels holds {covered[1]:.4g} x {covered[0]:.4g} of the "
            f"{middle.side} x {middle.side} pixels of {EUCLID.pixel_scale:g} arcsec around the object that the network "
            f"takes: cut out {math.ceil(middle.side * middle.ratio)} pixels or more with the object in the middle"
        )


def _picture(band: BandPlanes, offset: tuple[float, float], stamp: int, middle: int) -> _Picture:
    """Put a band on the network's grid, its middle `offset` (y, x) [arcsec] from the middle of the image.

    An output pixel with half of its area bad becomes 0; with less, the rest of it stands for the whole.
    """
    height, width = band.flux.shape
    y, x = (height - 1) / 2 + offset[0] / band.scale, (width - 1) / 2 + offset[1] / band.scale
    window = window_around(y, x, EUCLID.pixel_scale / band.scale, stamp)
    side = min(middle, stamp)
    looked_at = window.middle(side)
    _check_middle(band.flux, looked_at)
    covered = window.covered(band.flux.shape)
    flags = [] if window.ratio == 1 else [f"pixel_scale_{band.label}:{band.scale:.4g}"]
    beyond = 1.0 - covered[0] * covered[1]
    if beyond > 1e-9:
        flags.append(f"padded_{band.label}:{beyond:.2g}")
    unit = np.float32(band.unit)
    with _blaming(band.flux):
        flux = read_square(window, band.flux.shape, band.flux.window)
        rms = None if band.rms is None else read_square(window, band.flux.shape, band.rms.window)
        good = _good(band, flux, rms)
        whole = bool(good.all())
        pixels = sum_onto(window, flux if whole else np.where(good, flux, np.float32(0))) * unit
    share = None if whole else sum_onto(window, good.astype(np.float32)) / window.ratio**2
    bad = 0.0
    if share is not None:
        pixels = np.where(share > 0.5, pixels / np.maximum(share, 0.5), 0).astype(np.float32)
        bad = 1.0 - float(share.mean(dtype=float)) - beyond
        if bad > 1e-6:
            flags.append(f"bad_pixels_{band.label}:{bad:.2g}")
    data, inside = with_data(pixels, share), math.prod(looked_at.covered(band.flux.shape))
    outside = cover_flags(band.label, band.band, data[middle_of(data, side)], inside)
    outside += pixel_flags(band.label, band.band, pixels, data, side, window.ratio**2)
    outside += [] if rms is None else rms_flags(band.label, band.band, rms[good] * unit, window.ratio)
    return _Picture(pixels, bad, tuple(flags), share, tuple(outside))


def _shifted(
    band: BandPlanes, shift: tuple[float, float], vis: np.ndarray, offset: tuple[float, float], middle: int
) -> _Picture:
    """Cut out a band at the middle of VIS by world coordinates, or at its own middle if that agrees better with VIS.

    Coordinates may be wrong: a file cut without them is right as it is. Where they lead beyond the image, it has to agree.
    """
    if shift == (0, 0):
        return _picture(band, offset, len(vis), middle)
    there = offset[0] - shift[0] * band.scale, offset[1] - shift[1] * band.scale
    found: list[_Picture] = []
    for place, flag in ((there, (f"moved_{band.label}:{round(shift[1]):+d},{round(shift[0]):+d}",)), (offset, ())):
        try:
            picture = _picture(band, place, len(vis), middle)
        except _TooLittle as error:
            refused = error
        else:
            found.append(replace(picture, flags=(*flag, *picture.flags)))
    best = max(found, key=lambda picture: agreement(vis, picture.pixels), default=None)
    if best is None or (len(found) == 1 and agreement(vis, best.pixels) < LEAST_AGREEMENT):
        raise refused
    return best


def _good(band: BandPlanes, flux: np.ndarray, rms: np.ndarray | None) -> np.ndarray:
    """Mask of input pixels with data; pixels beyond the image are NaN and have none."""
    good = np.isfinite(flux)
    if rms is None:
        return good
    good &= rms < BAD_RMS  # false for NaN
    return good & ((flux != 0) | (rms * band.unit > EMPTY_RMS * band.sky))
