"""The guard before guided backpropagation, and what captum gives behind it."""

import captum.attr
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lensdream.explain.gradients import GuidanceError, check_guidable, guided_grad_cam, integrated_gradients, pooled
from lensdream.instrument import EUCLID, N_BANDS
from lensdream.networks.lensnet import LensNet, LensNetConfig

SKY = torch.tensor(EUCLID.sky_sigma).view(1, N_BANDS, 1, 1)


class Small(nn.Module):
    """A network whose activation is given."""

    def __init__(self, activation) -> None:
        super().__init__()
        self.conv = nn.Conv2d(N_BANDS, 6, 3, padding=1)
        self.activation = activation if isinstance(activation, nn.Module) else None
        self.function = None if isinstance(activation, nn.Module) else activation
        self.head = nn.Linear(6, 1)

    def forward(self, x):
        x = self.conv(x)
        x = self.activation(x) if self.function is None else self.function(x)
        return self.head(x.mean((2, 3)))[:, 0]


@pytest.fixture
def network():
    torch.manual_seed(5)  # the CAMs of some others are zero all over
    return LensNet(LensNetConfig(width=4)).eval()


@pytest.fixture
def images():
    return torch.randn(2, N_BANDS, 32, 32, generator=torch.Generator().manual_seed(0)) * 20 * SKY


def test_lensnet_is_guidable(network):
    check_guidable(network)


@pytest.mark.parametrize(
    ("activation", "name"),
    [
        (F.relu, "relu"),
        (torch.relu, "relu"),
        (lambda x: x.relu(), "relu"),
        (F.leaky_relu, "leaky_relu"),
        (F.gelu, "gelu"),
        (nn.LeakyReLU(), "LeakyReLU"),
        (nn.ReLU6(), "ReLU6"),
        (nn.SiLU(), "SiLU"),
        (nn.Identity(), "no nn.ReLU module"),
    ],
)
def test_other_activations_are_refused(activation, name):
    with pytest.raises(GuidanceError, match=rf"{name}.*use nn.ReLU modules"):
        check_guidable(Small(activation).eval())


def test_relu_module_does_not_hide_a_functional_one():
    network = nn.Sequential(Small(nn.ReLU()), nn.Unflatten(0, (-1, 1)))
    check_guidable(network.eval())
    mixed = Small(lambda x: F.relu(x))
    mixed.extra = nn.ReLU()
    with pytest.raises(GuidanceError, match="functional relu"):
        check_guidable(mixed.eval())


def test_training_mode_is_refused(network):
    with pytest.raises(GuidanceError, match=r"call model\.eval\(\)"):
        check_guidable(network.train())


def test_network_that_cannot_be_traced_is_refused():
    class Branching(Small):
        def forward(self, x):
            return super().forward(x) if x.sum() > 0 else super().forward(-x)

    with pytest.raises(GuidanceError, match="cannot trace"):
        check_guidable(Branching(nn.ReLU()).eval())


def test_guided_grad_cam_refuses_before_it_computes(images):
    bad = Small(F.relu).eval()
    with pytest.raises(GuidanceError):
        guided_grad_cam(bad, bad.conv, images)


def test_guided_differs_from_plain_gradients_and_leaves_the_network_alone(network, images):
    maps = guided_grad_cam(network, network.block_2, images)
    assert maps.shape == images.shape
    assert torch.isfinite(maps).all()
    assert all(p.grad is None for p in network.parameters())
    assert not network.training
    assert not images.requires_grad
    assert not any(m._backward_hooks or m._forward_hooks or m._forward_pre_hooks for m in network.modules())
    leaf = images.clone().requires_grad_()
    cam = captum.attr.LayerGradCam(network, network.block_2).attribute(leaf, relu_attributions=True).detach()
    cam = F.interpolate(cam, (32, 32), mode="bilinear")
    assert cam.any()
    (plain,) = torch.autograd.grad(network(leaf).sum(), leaf)
    assert not torch.allclose(maps, plain * cam, rtol=1e-3)


def test_cams_are_of_what_the_network_sees():
    torch.manual_seed(5)
    network = LensNet(LensNetConfig(width=4, middle_pixels=32)).eval()
    images = torch.randn(2, N_BANDS, 41, 36, generator=torch.Generator().manual_seed(0)) * 20 * SKY
    seen = images[..., 4:36, 2:34]
    maps = torch.zeros(images.shape)
    maps[..., 4:36, 2:34] = guided_grad_cam(network, network.block_2, seen)
    assert maps.any()
    torch.testing.assert_close(guided_grad_cam(network, network.block_2, images), maps)


def test_integrated_gradients_of_a_linear_score_are_weight_times_pixel(images):
    weights = torch.randn(N_BANDS, 32, 32, generator=torch.Generator().manual_seed(1))
    maps = integrated_gradients(lambda x: (x * weights).sum((1, 2, 3)), images, steps=4)
    torch.testing.assert_close(maps, images * weights)


def test_integrated_gradients_add_up_to_the_change_of_the_logit(network, images):
    maps = integrated_gradients(network, images, steps=200)
    with torch.no_grad():
        change = network(images) - network(torch.zeros_like(images))
    torch.testing.assert_close(maps.sum((1, 2, 3)), change, rtol=0.05, atol=0.02)
    assert all(p.grad is None for p in network.parameters())


def test_nan_is_refused(network, images):
    images[0, 0, 0, 0] = torch.nan
    for method in (
        lambda: guided_grad_cam(network, network.block_2, images),
        lambda: integrated_gradients(network, images),
    ):
        with pytest.raises(ValueError, match="not finite"):
            method()


def test_pooled_sums_the_positive_parts():
    maps = torch.tensor([1.0, -5.0, 2.0, 0.0]).view(1, 4, 1, 1)
    assert pooled(maps).item() == 3.0
