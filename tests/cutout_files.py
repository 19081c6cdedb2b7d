"""Cutout files as archives deliver them, small and with any extension changed."""

import numpy as np
import pytest
from astropy.io import fits

from lensdream.cutouts.fits_planes import CutoutError
from lensdream.cutouts.reader import read_cutout
from lensdream.instrument import EUCLID

STAMP = 40


def noise(side=60, seed=0):
    """Sky alone, (band, side, side) [microjansky a pixel]."""
    return np.random.default_rng(seed).normal(size=(4, side, side)) * np.array(EUCLID.sky_sigma)[:, None, None]


def hubble(path, counts, scale=0.05, **cards):
    """A file with Hubble's single band."""
    flux = fits.ImageHDU(counts.astype(np.float32), name="F814W_FLUX")
    flux.header.update({"PIXSCALE": scale, "MAGZERO": 25.94, **cards})
    rms = fits.ImageHDU(np.full(counts.shape, 0.01, np.float32), name="F814W_RMS")
    fits.HDUList([fits.PrimaryHDU(), flux, rms]).writeto(path, overwrite=True)
    return path


def edited(path, change):
    """The same file after `change` was done to its list of units."""
    with fits.open(path) as units:
        units = fits.HDUList([unit.copy() for unit in units])
    changed = change(units)
    target = path.with_name("edited.fits")
    (units if changed is None else fits.HDUList(changed)).writeto(target, overwrite=True)
    return target


def reason(path, stamp=STAMP, centre=None):
    with pytest.raises(CutoutError) as error:
        read_cutout(path, stamp, centre)
    return str(error.value)
