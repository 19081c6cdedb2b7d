"""`lensdream explain FILE.fits`, its FITS file: maps of a cutout with the cutout's world coordinates."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from astropy.io import fits

from lensdream.cutouts.bands import euclid_band, stand_in_for_vis, world_coordinates
from lensdream.cutouts.fits_planes import Plane, open_planes
from lensdream.cutouts.reader import Cutout
from lensdream.cutouts.resample import Window, window_around
from lensdream.explain.cutout import CutoutMaps
from lensdream.explain.decision import Decision
from lensdream.instrument import EUCLID, Band


class SkyError(ValueError):
    """World coordinates of a file that cannot be used, with the reason."""


def sky_of_stamp(path: Path, stamp: int) -> fits.Header:
    """World coordinates of the network's image: those of the file's VIS plane, or of the band in its place, cut out.

    stamp: side [pixel of 0.1 arcsec], around the middle of the plane, as `read_cutout` takes it. Without world
    coordinates in the file, an empty header. Raises `CutoutError` as `read_cutout` does, and `SkyError`.
    """
    with open_planes(path) as file:
        vis = euclid_band(file, Band.VIS)
        if vis is None:
            found = stand_in_for_vis(file)
            if found is None:
                return fits.Header()
            vis, _ = found
    height, width = vis.flux.shape
    window = window_around((height - 1) / 2, (width - 1) / 2, EUCLID.pixel_scale / vis.scale, stamp)
    try:
        return _cut_out(vis.flux, window, stamp)
    except Exception as error:  # astropy and wcslib raise what they please on cards that make no sense
        *_, reason = str(error).strip().splitlines() or [type(error).__name__]  # wcslib's lines lead to it
        raise SkyError(reason) from error


def _cut_out(plane: Plane, window: Window, stamp: int) -> fits.Header:
    """World coordinates of a window of a plane, on `stamp` pixels a side; an empty header without any."""
    found = world_coordinates(plane)
    if found is None:
        return fits.Header()
    wcs = found.deepcopy()
    # FITS counts pixel centres from 1, so pixel p lies at p - 0.5 from the picture's edge.
    edge = np.array([window.low_x, window.low_y])
    wcs.wcs.crpix = (wcs.wcs.crpix - 0.5 - edge) / window.ratio + 0.5
    if wcs.wcs.has_cd():
        wcs.wcs.cd = wcs.wcs.cd * window.ratio
    else:
        wcs.wcs.cdelt = wcs.wcs.cdelt * window.ratio
    if window.ratio != 1:
        wcs.sip = None  # its coefficients hold for the pixels as they were
    wcs.pixel_shape = (stamp, stamp)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # astropy's on keywords that it mends
        return wcs.to_header(relax=True)


def maps_file(cutout: Cutout, maps: CutoutMaps, sky: fits.Header, model: str, decision: Decision) -> bytes:
    """Bytes of a FITS file: all maps of a cutout and the network's input image, each an extension with world coordinates."""
    first = fits.PrimaryHDU()
    cards = first.header
    cards["OBJECT"] = _in_ascii(cutout.object)
    cards["FILE"] = _in_ascii(cutout.path.name)
    cards["MODEL"] = (_in_ascii(model), "name@sha256")
    cards["LOGIT"] = (maps.logit, "logit of the network that the maps explain")
    cards["LOOK"] = (decision.network, "network that the maps explain")
    cards["FINDER"] = (decision.logit, "logit of the finder, mean over orientations")
    cards["PROB"] = (decision.probability, "of a lens, by the finder")
    cards["WINDOW"] = (maps.window, "[pixel] side of the occluding square")
    cards["STRIDE"] = (maps.stride, "[pixel] its step")
    cards["COMMENT"] = "Maps are positive where they support 'lens', negative where 'non-lens'."
    for flag in cutout.flags:
        cards["HISTORY"] = _in_ascii(f"reader: {flag}")
    planes = {
        "OCCLUSION_SKY": (maps.sky, "logit lost with a square of sky over the place"),
        "OCCLUSION_BLACK": (maps.black, "logit lost with a square of zeros over the place"),
    }
    for band, values in maps.by_band.items():
        name = EUCLID.bands[band].fits_name
        planes[f"OCCLUSION_{name}"] = (values, f"logit lost with a square of sky in {name} alone")
    planes["INTEGRATED_GRADIENTS"] = (maps.integrated, "share of the logit [logit a pixel], summed over bands")
    units = [_extension(name, values, sky, meaning) for name, (values, meaning) in planes.items()]
    for band in Band:
        shown = "[microjansky a pixel] input of the network"
        units.append(_extension(EUCLID.bands[band].fits_name, cutout.image[band], sky, shown))
    buffer = io.BytesIO()
    fits.HDUList([first, *units]).writeto(buffer)
    return buffer.getvalue()


def _in_ascii(text: str) -> str:
    """Text for a FITS card: characters other than printable ASCII become escapes."""
    return "".join(c if c.isascii() and c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _extension(name: str, values: np.ndarray, sky: fits.Header, meaning: str) -> fits.ImageHDU:
    unit = fits.ImageHDU(np.asarray(values, np.float32), sky.copy(), name=name)
    unit.header["COMMENT"] = meaning
    return unit
