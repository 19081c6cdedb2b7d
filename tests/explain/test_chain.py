"""Networks as chains of layers."""

import torch
from torch import nn

from explained_chains import SKY, assert_equals_plain, layers_used, sky
from lensdream.explain.chain import chain_of, plain
from lensdream.explain.occlusion import occlude
from lensdream.networks.ou import OU66, OUConfig


class Branching(nn.Module):
    """Cannot be traced."""

    def forward(self, x):
        return x.sum((1, 2, 3)) if x.sum() > 0 else x.mean((1, 2, 3))


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
