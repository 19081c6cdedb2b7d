"""From the sky to the mosaic: detector pixels and dithered exposures."""

import itertools

import numpy as np
import pytest
import torch

from lensdream.instrument import DITHERS
from lensdream.optics.detector import interpolation, pixel_response, resample, sampled, wider_by

ALL_PLACES = tuple(itertools.product(range(3), repeat=2))
INNER = slice(2, -2)


@pytest.mark.parametrize("places", DITHERS[:4])
def test_a_flat_sky_stays_flat(places):
    sky = torch.full((2, 40, 40), 1.7, dtype=torch.float64)
    # farther out light is missing
    assert torch.allclose(resample(sky, sampled(40, places, 3), 3)[:, INNER, INNER], sky[:, INNER, INNER], atol=1e-13)


@pytest.mark.parametrize("places", DITHERS[:4])
def test_a_slope_stays_a_slope_away_from_the_edges(places):
    y, x = torch.meshgrid(*[torch.arange(40, dtype=torch.float64)] * 2, indexing="ij")
    sky = 0.3 + 0.02 * x - 0.05 * y
    assert torch.allclose(resample(sky, sampled(40, places, 3), 3)[INNER, INNER], sky[INNER, INNER], atol=1e-13)


def test_the_flux_of_a_point_is_kept_on_average_over_all_places():
    sky = torch.zeros(30, 30, dtype=torch.float64)
    sky[14, 17] = 2.0
    assert float(resample(sky, sampled(30, ALL_PLACES, 3), 3).sum()) == pytest.approx(2.0)
    # one exposure sees the point with nine times its flux or not at all
    single = [float(resample(sky, sampled(30, (place,), 3), 3).sum()) for place in ALL_PLACES]
    assert sorted(single) == pytest.approx([0.0] * 8 + [18.0])


def test_interpolation_is_that_of_numpy():
    values = np.random.default_rng(0).normal(size=20)
    for width, place in itertools.product((30, 31, 32), range(3)):
        at = np.arange(place, width, 3)
        expected = np.interp(np.arange(width), at, values[: len(at)])
        samples = torch.zeros(width, dtype=torch.float64)
        samples[at] = torch.as_tensor(values[: len(at)])
        inside = slice(at[0], at[-1] + 1)
        ours = interpolation(width, 3) @ samples
        np.testing.assert_allclose(ours.numpy()[inside], expected[inside], atol=1e-14)


def test_light_goes_no_farther_than_it_is_said_to():
    sky = torch.zeros(30, 30, dtype=torch.float64)
    sky[15, 15] = 1.0
    line = pixel_response(30, 1, 3, False)
    averaged = torch.fft.irfft2(torch.fft.rfft2(sky) * line[:, None] * line[:16], s=(30, 30))
    lit = (resample(averaged, sampled(30, ALL_PLACES, 3), 3) > 1e-9).nonzero()
    assert int((lit - 15).abs().max()) == wider_by(3)
    assert wider_by(1) == 0


@pytest.mark.parametrize(("samples", "pixels"), [(1, 1), (3, 1), (3, 3), (2, 3), (5, 1)])
def test_a_pixel_averages_over_its_samples(samples, pixels):
    values = torch.as_tensor(np.random.default_rng(1).normal(size=60))
    response = pixel_response(60, samples, pixels, integrate=False)
    averaged = torch.fft.ifft(torch.fft.fft(values) * response).real[::samples]
    of_pixels = values.reshape(-1, samples).mean(1)
    expected = torch.stack([of_pixels.roll(-k) for k in range(-(pixels // 2), pixels // 2 + 1)]).mean(0)
    assert torch.allclose(averaged, expected, atol=1e-12)


@pytest.mark.parametrize("pixels", [1, 3])
def test_a_pixel_integrates_what_is_smooth_exactly(pixels):
    # samples of a wave; its integral over a pixel is known
    samples, n = 3, 40
    x = (torch.arange(samples * n, dtype=torch.float64) - (samples - 1) / 2) / samples
    wave = torch.cos(2 * torch.pi * 3 * x / n)
    response = pixel_response(samples * n, samples, pixels, integrate=True)
    integrated = torch.fft.ifft(torch.fft.fft(wave) * response).real[::samples]
    at = torch.arange(n, dtype=torch.float64)
    half = pixels / 2
    k = 2 * torch.pi * 3 / n
    expected = (torch.sin(k * (at + half)) - torch.sin(k * (at - half))) / (k * pixels)
    assert torch.allclose(integrated, expected, atol=1e-12)


def test_a_pixel_without_a_middle_is_refused():
    with pytest.raises(ValueError, match="2 mosaic pixels wide, it must be an odd number"):
        pixel_response(12, 3, 2, True)
