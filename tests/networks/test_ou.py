"""OU-66 of Wilde et al. 2022: as published, and as ours to the rest of the package."""

import pytest
import torch

from lensdream.instrument import EUCLID
from lensdream.networks.input import InputTransform
from lensdream.networks.lensnet import DeepLensNet, LensNet, LensNetConfig
from lensdream.networks.ou import OU66, OUConfig


def sky(n, side):
    """Images of noise [microjansky a pixel]."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 4, side, side, generator=generator) * torch.tensor(EUCLID.sky_sigma).view(1, 4, 1, 1)


def test_as_many_weights_as_published():
    assert sum(weights.numel() for weights in OU66(OUConfig()).parameters()) == 203_192


@pytest.mark.parametrize("side", [32, 66, 80, 200])
def test_any_stamp_gives_a_logit_an_image(side):
    model = OU66(OUConfig()).eval()
    assert model(sky(2, side)).shape == (2,)
    assert model(sky(1, side)).shape == (1,)


def test_the_logit_is_the_softmax_of_the_two_classes():
    model, images = OU66(OUConfig()).eval(), sky(2, 66)
    by_hand = torch.exp(model.classes(images))
    by_hand = by_hand[:, 1] / by_hand.sum(1)
    assert torch.allclose(torch.sigmoid(model(images)), by_hand, atol=1e-6)


def test_the_binary_loss_is_the_cross_entropy_of_the_two_classes():
    model, images, labels = OU66(OUConfig()).eval(), sky(2, 66), torch.tensor([1.0, 0.0])
    ours = torch.nn.functional.binary_cross_entropy_with_logits(model(images), labels)
    theirs = torch.nn.functional.cross_entropy(model.classes(images), labels.long())
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)


@pytest.mark.parametrize("size", [(21, 30), (20, 20), (40, 20)])
@pytest.mark.parametrize("network", [LensNet, DeepLensNet])
def test_the_logit_depends_on_the_middle_of_the_image_alone(network, size):
    network, images = network(LensNetConfig(4, middle_pixels=20)).eval(), sky(3, 20)
    margin = [(n - 20) // 2 for n in size]
    larger = torch.full((3, images.shape[1], *size), 100.0)
    larger[..., margin[0] : margin[0] + 20, margin[1] : margin[1] + 20] = images
    with torch.no_grad():
        assert torch.equal(network(larger), network(images))
        assert not torch.equal(network(larger.roll(1, -1)), network(images))


def test_every_weight_learns():
    model = OU66(OUConfig(dropout=0.0))
    model(sky(2, 80)).sum().backward()
    assert all(weights.grad.abs().sum() > 0 for weights in model.parameters() if weights.dim() > 1)


def test_there_are_only_relu_modules_and_dropout_follows_every_convolution():
    layers = [type(layer).__name__ for layer in OU66(OUConfig()).features]
    assert layers.count("Dropout") == layers.count("Conv2d") == layers.count("ReLU") == len(OU66.convolutions)
    assert not {"GELU", "SiLU"} & set(layers)


def test_it_takes_the_input_transform_of_lensnet():
    seen = []
    model = OU66(OUConfig()).eval()
    model.features.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    images = sky(2, 66)
    model(images)
    assert torch.allclose(seen[0], InputTransform()(images)[:, :4], atol=1e-6)


def test_shrinking_averages_and_does_not_pick():
    seen = []
    model = OU66(OUConfig()).eval()
    model.features.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    model(sky(4, 264))  # four times their side: averaged noise has a fraction of the scatter
    assert seen[0].std() < 0.5 * InputTransform()(sky(4, 66))[:, :4].std()
