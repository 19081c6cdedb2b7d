"""Networks as chains of layers."""

import pytest
import torch
from torch import nn

from lensdream.explain.chain import chain_of, plain
from lensdream.explain.occlusion import occlude, window_corners
from lensdream.explain.patches import plan
from lensdream.instrument import EUCLID, N_BANDS
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.ou import OU66, OUConfig

SKY = torch.tensor(EUCLID.sky_sigma).view(1, N_BANDS, 1, 1)


def sky(height, width, n=2):
    return torch.randn(n, N_BANDS, height, width, generator=torch.Generator().manual_seed(0)) * 20 * SKY


@pytest.fixture(scope="module")
def lensnet():
    """One of random weights, whose normalisations are no identities."""
    torch.manual_seed(0)
    network = LensNet(LensNetConfig(width=8))
    network.train()(sky(40, 40, 16))
    return network.eval()


class Branching(nn.Module):
    """Cannot be traced."""

    def forward(self, x):
        return x.sum((1, 2, 3)) if x.sum() > 0 else x.mean((1, 2, 3))


def layers_used(network, images, window=4, stride=2):
    corners = tuple(window_corners(n, window, stride) for n in images.shape[-2:])
    with torch.inference_mode():
        return len(plan(chain_of(network), images[0], corners, window)[0].layers)


def assert_equals_plain(network, images, **settings):
    one, other = (occlude(chain, images, **settings) for chain in (chain_of(network), plain(network)))
    torch.testing.assert_close(one.original, other.original, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(one.occluded, other.occluded, rtol=0, atol=1e-4)
    assert other.logit_change.abs().max() > 1e-3  # else equality would say nothing


def test_layers_end_where_maps_do():
    network = nn.Sequential(nn.Conv2d(4, 3, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(1), nn.Flatten(0)).eval()
    network(sky(24, 30))
    assert layers_used(network, sky(24, 30)) == 2
    assert_equals_plain(network, sky(24, 30) / SKY)


def test_networks_that_begin_with_something_else_have_no_layers():
    images = sky(66, 66, 1)
    network = OU66(OUConfig()).eval()
    assert chain_of(network).layers == ()
    assert chain_of(Branching()).layers == ()
    torch.testing.assert_close(
        occlude(chain_of(network), images, window=16, stride=16).occluded,
        occlude(plain(network), images, window=16, stride=16).occluded,
    )


def test_chain_is_the_network_and_leaves_it_alone(lensnet):
    images = sky(40, 40)
    before = {name: value.clone() for name, value in lensnet.state_dict().items()}
    chain = chain_of(lensnet)
    assert chain.layers[1] is lensnet.stem[0]
    for n in range(len(chain.layers) + 1):
        assert torch.equal(chain.split(n)(images), lensnet(images))
    assert_equals_plain(lensnet, images)
    assert all(torch.equal(value, before[name]) for name, value in lensnet.state_dict().items())
    assert not lensnet.training
