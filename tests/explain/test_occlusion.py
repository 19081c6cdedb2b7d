"""Occlusion against sums done by hand and against captum."""

import captum.attr
import pytest
import torch
from torch import nn

from lensdream.explain.chain import chain_of, plain
from lensdream.explain.occlusion import occlude, sky_fill, window_corners
from lensdream.instrument import EUCLID, N_BANDS, Band


@pytest.fixture
def images():
    return torch.rand(2, N_BANDS, 11, 14, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture
def weights():
    return torch.randn(N_BANDS, 11, 14, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_last_window_ends_at_the_border():
    assert window_corners(11, 4, 2).tolist() == [0, 2, 4, 6, 7]
    assert window_corners(80, 4, 2).tolist() == list(range(0, 77, 2))
    assert window_corners(4, 4, 4).tolist() == [0]


def test_linear_score_changes_by_what_the_window_held(images, weights):
    result = occlude(plain(lambda x: (x * weights).sum((1, 2, 3))), images, window=4, stride=3, fill=0.25, chunk=5)
    for row, y in enumerate(result.corners_y.tolist()):
        for column, x in enumerate(result.corners_x.tolist()):
            inside = (..., slice(y, y + 4), slice(x, x + 4))
            expected = ((images[inside] - 0.25) * weights[inside]).sum((1, 2, 3))
            torch.testing.assert_close(result.logit_change[:, row, column], expected)


def test_fill_may_differ_by_band_and_by_pixel(images, weights):
    def score(x):
        return (x * weights).sum((1, 2, 3))

    by_band = torch.arange(4.0, dtype=torch.float64)[:, None, None]
    by_pixel = by_band.expand(images.shape).clone()
    one, other = (occlude(plain(score), images, window=4, stride=4, fill=fill) for fill in (by_band, by_pixel))
    assert torch.equal(one.occluded, other.occluded)
    same = occlude(plain(score), images, window=4, stride=4, fill=images)
    torch.testing.assert_close(same.logit_change, torch.zeros_like(same.logit_change))


def test_equals_captum_on_a_network(images):
    images = images[:, :, :10]  # the windows tile it; elsewhere captum cuts the last window short
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(4, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 8 * 12, 1), nn.Flatten(0))
    network = network.double().eval()
    mine = occlude(chain_of(network), images, window=4, stride=2, chunk=7)
    with torch.no_grad():
        theirs = captum.attr.Occlusion(network).attribute(
            images, sliding_window_shapes=(4, 4, 4), strides=(4, 2, 2), baselines=0.0, perturbations_per_eval=8
        )
    torch.testing.assert_close(mine.to_pixels(mine.logit_change), theirs[:, 0].double(), rtol=1e-5, atol=1e-6)


def test_one_pixel_that_matters_lights_up_the_windows_that_hold_it(images):
    result = occlude(plain(lambda x: 3.0 * x[:, 2, 5, 6]), images, window=4, stride=4)
    lit = result.logit_change[0] != 0
    assert lit.sum() == 1
    y, x = (c[i] for c, i in zip((result.corners_y, result.corners_x), torch.nonzero(lit)[0], strict=True))
    assert y <= 5 < y + 4
    assert x <= 6 < x + 4
    assert result.logit_change[0][lit] == 3.0 * images[0, 2, 5, 6]


def test_probability_change_has_the_sign_of_the_logit_change(images, weights):
    result = occlude(plain(lambda x: (x * weights).sum((1, 2, 3))), images, window=4, stride=2)
    assert torch.equal(result.probability_change.sign(), result.logit_change.sign())
    assert result.probability_change.abs().max() < 1


def test_chunk_and_company_do_not_matter(images, weights):
    def score(x):
        return (x.square() * weights).sum((1, 2, 3))

    together = occlude(plain(score), images, window=3, stride=2, chunk=64).occluded
    alone = occlude(plain(score), images[1:], window=3, stride=2, chunk=1).occluded
    torch.testing.assert_close(together[1:], alone)


@pytest.mark.parametrize(
    ("window", "stride", "message"),
    [
        (12, 1, r"window is 12 pixels, the image 11: choose a window in \[1, 11\]"),
        (0, 1, "window is 0 pixels"),
        (4, 5, r"stride is 5 pixels, the window 4: choose a stride in \[1, 4\]"),
    ],
)
def test_windows_that_do_not_fit_are_refused(images, window, stride, message):
    with pytest.raises(ValueError, match=message):
        occlude(plain(lambda x: x.sum((1, 2, 3))), images, window=window, stride=stride)


def test_image_with_nan_is_refused(images):
    images[1, 0, 3, 3] = torch.nan
    with pytest.raises(ValueError, match=r"1 of 2 images .* not finite \(the first is image 1\)"):
        occlude(plain(lambda x: x.sum((1, 2, 3))), images)


def test_score_of_another_shape_is_refused(images):
    with pytest.raises(ValueError, match="one lens logit an image"):
        occlude(plain(lambda x: x.sum((2, 3))), images)


def test_image_without_batch_axis_is_refused(images):
    with pytest.raises(ValueError, match="add the batch axis"):
        occlude(plain(lambda x: x.sum((1, 2, 3))), images[0])


def test_sky_fill_has_the_survey_scatter_and_correlation():
    sky = sky_fill((40, N_BANDS, 64, 64), EUCLID, torch.Generator().manual_seed(0))
    scatter = sky.std((0, 2, 3)) / torch.tensor(EUCLID.sky_sigma)
    torch.testing.assert_close(scatter, torch.ones(N_BANDS), atol=0.03, rtol=0)
    neighbours = (sky * sky.roll(1, -1)).mean((0, 2, 3)) / sky.square().mean((0, 2, 3))
    assert neighbours[0] < 0.35  # measured on Euclid: 0.23 in VIS, 0.82 in the near infrared
    assert (neighbours[1:] > 0.7).all()


def test_only_the_bands_named_are_covered(images, weights):
    def score(x):
        return (x * weights).sum((1, 2, 3))

    parts = [occlude(plain(score), images, fill=0.5, bands=(band,)).logit_change for band in Band]
    y = x = 4  # corner of the window at (2, 2)
    expected = ((images[:, Band.J] - 0.5) * weights[Band.J])[:, y : y + 4, x : x + 4].sum((1, 2))
    torch.testing.assert_close(parts[Band.J][:, 2, 2], expected)
    torch.testing.assert_close(sum(parts), occlude(plain(score), images, fill=0.5).logit_change)
    with pytest.raises(ValueError, match="no band to cover: name at least one of VIS, Y, J, H"):
        occlude(plain(score), images, bands=())
