"""Deep Dream: it climbs, it can be repeated, and it leaves the network alone."""

import numpy as np
import pytest
import torch

from lensdream.explain.dream import (
    TOWARDS_LENS,
    TOWARDS_NON_LENS,
    Climb,
    band_covariance,
    dream,
    octave_sizes,
    psf_transfer,
    vis_minus_h,
)
from lensdream.explain.randomised import randomised_twin
from lensdream.instrument import EUCLID, N_BANDS, Band
from lensdream.networks.lensnet import LensNet, LensNetConfig

SKY = torch.tensor(EUCLID.sky_sigma)
CLIMB = Climb(steps=4, octaves=2, octave_scale=1.4, jitter=2, step_size=0.25)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(3)
    return LensNet(LensNetConfig(width=4)).eval()


@pytest.fixture
def images():
    noise = torch.randn(3, N_BANDS, 32, 32, generator=torch.Generator().manual_seed(0))
    blob = torch.exp(-((torch.arange(32.0) - 16) ** 2)[:, None] / 8 - ((torch.arange(32.0) - 16) ** 2) / 8)
    return (noise + 30 * blob) * SKY.view(1, -1, 1, 1)


def run(network, images, towards=TOWARDS_LENS, seed=0, **changes):
    settings = {"climb": CLIMB, "sky_sigma": SKY, "highest": 100 * SKY} | changes
    return dream(network, images, towards=towards, generator=torch.Generator().manual_seed(seed), **settings)


@pytest.mark.parametrize("transfer", [None, psf_transfer(EUCLID, 32)])
def test_dream_moves_the_logit_its_way(network, images, transfer):
    settings = {"climb": Climb(steps=20, octaves=1, jitter=2, step_size=0.1), "transfer": transfer}
    to_lens, to_non_lens = (run(network, images, way, **settings) for way in (TOWARDS_LENS, TOWARDS_NON_LENS))
    assert torch.equal(to_lens.before, network(images))
    assert (to_lens.after > to_lens.before).all()
    assert (to_non_lens.after < to_non_lens.before).all()


def test_same_seed_same_dream_in_any_company(network, images):
    together = run(network, images).images
    assert torch.equal(together, run(network, images).images)
    torch.testing.assert_close(together[1:2], run(network, images[1:2]).images, rtol=1e-3, atol=1e-6)
    assert not torch.equal(together, run(network, images, seed=1).images)


def test_network_and_images_are_left_alone(network, images):
    kept = images.clone()
    flags = [module.training for module in network.modules()]
    run(network, images)
    assert all(p.grad is None and p.requires_grad for p in network.parameters())
    assert flags == [module.training for module in network.modules()]
    assert torch.equal(images, kept)
    assert not images.requires_grad


def test_flux_stays_within_its_bounds(network, images):
    dreamt = run(network, images, climb=Climb(steps=10, octaves=1, step_size=5.0), highest=35 * SKY).images
    unit = SKY.view(1, -1, 1, 1)
    assert (dreamt >= torch.minimum(-3 * unit, images) - 1e-6).all()
    assert (dreamt <= torch.maximum(35 * unit, images) + 1e-6).all()


@pytest.mark.parametrize("transfer", [None, psf_transfer(EUCLID, 32)])
def test_step_size_is_the_largest_change_of_a_step(network, images, transfer):
    one_step = Climb(steps=1, octaves=1, step_size=0.5)
    change = (run(network, images, climb=one_step, transfer=transfer).images - images) / SKY.view(1, -1, 1, 1)
    torch.testing.assert_close(change.abs().amax((1, 2, 3)), torch.full((3,), 0.5), rtol=1e-3, atol=0)


def test_point_spread_keeps_the_dream_smooth(network, images):
    def roughness(dreamt):
        change = (dreamt - images)[:, Band.H]
        return ((change - change.roll(1, -1)).abs().mean() / change.abs().mean()).item()

    one_octave = Climb(steps=6, octaves=1)
    plain = run(network, images, climb=one_octave).images
    smooth = run(network, images, climb=one_octave, transfer=psf_transfer(EUCLID, 32)).images
    assert roughness(smooth) < 0.6 * roughness(plain)


def test_point_spread_keeps_the_flux():
    transfer = psf_transfer(EUCLID, 40)(28)
    assert transfer.shape == (N_BANDS, 28, 15)
    torch.testing.assert_close(transfer[:, 0, 0], torch.ones(N_BANDS, dtype=transfer.dtype))


def test_octaves_grow_to_the_image():
    assert octave_sizes((80, 80), Climb(octaves=3, octave_scale=1.4)) == [(41, 41), (57, 57), (80, 80)]
    with pytest.raises(ValueError, match=r"smallest of 5 octaves of a 32 x 32 image is 8 pixels.*take fewer octaves"):
        octave_sizes((32, 32), Climb(octaves=5))


def test_flat_objective_leaves_the_image_as_it_is(images):
    still = run(lambda x: (0 * x).sum((1, 2, 3)), images)
    torch.testing.assert_close(still.images, images)


def test_nan_is_refused(network, images):
    images[0, 0, 0, 0] = torch.nan
    with pytest.raises(ValueError, match="not finite"):
        run(network, images)


def test_colour_is_a_magnitude_inside_the_mask():
    image = np.zeros((N_BANDS, 4, 4))
    mask = np.zeros((4, 4), bool)
    mask[1, 1:3] = True
    image[Band.VIS, 1, 1], image[Band.H, 1, 2], image[Band.H, 3, 3] = 1.0, 10.0, 1e6
    assert vis_minus_h(image, mask) == pytest.approx(2.5)
    assert np.isnan(vis_minus_h(image, np.zeros_like(mask)))
    assert np.isnan(vis_minus_h(-image, mask))


def test_twin_has_other_weights_and_leaves_the_first_alone(network, images):
    kept = [p.clone() for p in network.parameters()]
    before = torch.get_rng_state()
    twin = randomised_twin(network, seed=5)
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(kept, network.parameters(), strict=True))
    assert not torch.equal(twin.head.weight, network.head.weight)
    assert torch.equal(twin.head.weight, randomised_twin(network, seed=5).head.weight)
    assert not twin.training
    assert torch.isfinite(twin(images)).all()


def test_light_that_a_dream_adds_has_the_given_colours(network, images):
    """With one colour alone every pixel moves along it, in units of the sky's scatter."""
    colour = torch.tensor([1.0, 0.5, 2.0, 0.25])
    climb = Climb(steps=1, octaves=1, jitter=0, step_size=0.2)
    images = images.clamp(min=-2 * SKY.min())  # above the floor, at which a pixel would stop
    dreamt = run(network, images, climb=climb, colours=colour[:, None] * colour)
    change = (dreamt.images - images) / SKY.view(1, -1, 1, 1)
    assert change.abs().max() == pytest.approx(0.2, rel=1e-3)
    assert torch.allclose(change, change[:, 2:3] * (colour / 2).view(1, -1, 1, 1), atol=1e-4)


@pytest.mark.parametrize("towards", [TOWARDS_LENS, TOWARDS_NON_LENS])
def test_dreams_in_the_colours_of_images_climb_too(network, images, towards):
    colours = band_covariance(images, SKY)
    dreamt = run(network, images, towards, climb=Climb(steps=20, octaves=1, jitter=2, step_size=0.1), colours=colours)
    assert (towards * (dreamt.after - dreamt.before) > 0).all()


def test_bands_that_go_each_by_itself_are_the_plain_dream(network, images):
    plain, alone = run(network, images), run(network, images, colours=torch.eye(N_BANDS))
    assert torch.allclose(plain.images, alone.images, atol=1e-6)


def test_the_covariance_of_bands_is_that_of_the_light():
    """Two colours of galaxies, in units of the sky's scatter, of pixels far brighter than the noise."""
    rng = torch.Generator().manual_seed(4)
    mixing = torch.tensor([[1.0, 0.3], [0.6, 0.6], [0.4, 0.9], [0.2, 1.2]])
    light = 100 * torch.rand(2, 400, generator=rng) + 10
    images = ((mixing @ light).view(1, N_BANDS, 20, 20)) * SKY.view(1, -1, 1, 1)
    found = band_covariance(images, SKY)
    expected = mixing @ torch.cov(light) @ mixing.T
    assert torch.allclose(found.float(), expected / expected.diagonal().mean(), rtol=1e-4)
    assert found.diagonal().mean() == pytest.approx(1)
    assert torch.allclose(found, found.T)


def test_an_empty_sky_has_no_colours():
    with pytest.raises(ValueError, match="0 pixels are brighter than 3 scatters of the sky, more than 4 are needed"):
        band_covariance(torch.zeros(2, N_BANDS, 8, 8), SKY)
