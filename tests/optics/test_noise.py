"""Noise as modelled, and as measured on real sky."""

import pytest
import torch

from lensdream.instrument import EUCLID, Band
from lensdream.optics.noise import correlated_noise, noise_filter

MEASURED = {Band.VIS: (0.23, 0.01)} | dict.fromkeys((Band.Y, Band.J, Band.H), (0.82, 0.27))
"""correlation of Euclid Q1's sky at lags of 1 and 3 pixels, faint galaxies taken out (`benchmarks/noise.py`)"""


MODELLED = {Band.VIS: (0.25, 0.01)} | dict.fromkeys((Band.Y, Band.J, Band.H), (0.80, 0.29))
"""that of the noise, for which `sky_correlation` has two numbers a band"""


@pytest.mark.parametrize("band", list(Band))
def test_noise_is_correlated_as_modelled_and_within_0_03_as_measured_on_real_sky(band):
    of_band = noise_filter(96, *EUCLID.bands[band].sky_correlation)
    correlation = torch.fft.irfft2(of_band**2)  # Wiener and Khinchin
    assert float(correlation[0, 0]) == pytest.approx(1.0)
    modelled = [float(correlation[0, lag]) for lag in (1, 3)]
    assert modelled == pytest.approx(MODELLED[band], abs=0.005)
    assert modelled == pytest.approx(MEASURED[band], abs=0.03)
    white = torch.randn(60, 96, 96, generator=torch.Generator().manual_seed(1))
    noise = correlated_noise(white, of_band.float())
    assert float(noise.var()) == pytest.approx(1.0, rel=0.02)
    drawn = [float((noise * noise.roll(lag, axis)).mean()) for lag, axis in ((1, 2), (3, 1))]
    assert drawn == pytest.approx(modelled, abs=0.02)
