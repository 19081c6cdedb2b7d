"""LensNet and its deeper sibling."""

import torch

from lensdream.instrument import EUCLID
from lensdream.networks.lensnet import DeepLensNet, LensNet, LensNetConfig


def sky(n, side):
    """Images of noise [microjansky a pixel]."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 4, side, side, generator=generator) * torch.tensor(EUCLID.sky_sigma).view(1, 4, 1, 1)


def test_the_deep_network_keeps_the_resolution_for_a_layer():
    network, images = DeepLensNet(LensNetConfig(4)).eval(), sky(1, 80)
    with torch.no_grad():
        assert network.stem(network.transform(network.crop(images))).shape == (1, 2, 64, 64)
        assert network.features(images).shape == (1, 16, 4, 4)


def test_any_stamp_gives_a_logit_an_image():
    model = LensNet(LensNetConfig(8, 0.1)).eval()
    assert model(torch.zeros(3, 4, 66, 66)).shape == (3,)
    assert model(torch.zeros(1, 4, 80, 80)).shape == (1,)
