"""Squares scored in part, against the whole covered images."""

import pytest
import torch
from torch import nn

from explained_chains import SKY, assert_equals_plain, layers_used, sky
from lensdream.explain.chain import chain_of
from lensdream.explain.occlusion import occlude, window_corners
from lensdream.explain.patches import plan
from lensdream.instrument import N_BANDS
from lensdream.networks.class_prior import ClassPrior, SecondStage
from lensdream.networks.lensnet import DeepLensNet, LensNet, LensNetConfig


class Behind(nn.Module):
    """Two convolutions, the given layer, and a head."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.one = nn.Sequential(nn.Conv2d(N_BANDS, 6, 3, 2, 1), nn.ReLU())
        self.between = layer
        self.two = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.ReLU())
        self.head = nn.Linear(6, 1)

    def forward(self, x):
        return self.head(self.two(self.between(self.one(x))).amax((2, 3)))[:, 0]


class Gate(nn.Module):
    """Every output depends on the whole image."""

    def forward(self, x):
        return x * x.mean((1, 2, 3), keepdim=True)


class Tilt(nn.Module):
    """Local, but another function at every place."""

    def forward(self, x):
        return x * torch.arange(x.shape[-1], device=x.device)


class Forgiving(nn.Module):
    """Hides what is not a number, and with it how far it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(6, 6, 5, padding=2)

    def forward(self, x):
        return x + self.conv(torch.nan_to_num(x))


@pytest.mark.parametrize("size", [(80, 80), (66, 66), (45, 58)])
@pytest.mark.parametrize(("window", "stride"), [(4, 2), (5, 3), (1, 1)])
def test_lensnet_scores_the_same_in_part(lensnet, size, window, stride):
    if stride == 1:
        size = tuple(n // 2 for n in size)
    images, fill = sky(*size).split(1)
    assert_equals_plain(lensnet, images, window=window, stride=stride, fill=fill)
    assert layers_used(lensnet, images, window, stride) == 7


@pytest.mark.parametrize(("window", "stride"), [(4, 2), (5, 3), (7, 7), (30, 25)])
def test_squares_on_and_behind_the_border_of_what_lensnet_sees(window, stride):
    torch.manual_seed(0)
    network = LensNet(LensNetConfig(width=8, middle_pixels=26)).eval()
    images, fill = sky(40, 45).split(1)
    assert_equals_plain(network, images, window=window, stride=stride, fill=fill)
    found = occlude(chain_of(network), images, window=window, stride=stride, fill=fill)
    behind = found.corners_x >= 9 + 26
    assert behind.any() == (window < 10)
    assert not found.logit_change[:, :, behind].any()
    assert layers_used(network, images, window, stride) == 7


def test_a_window_as_wide_as_the_image(lensnet):
    assert_equals_plain(lensnet, sky(32, 32), window=32, stride=1)


def test_only_a_part_of_each_layer_is_computed(lensnet):
    images = sky(80, 80)
    corners = tuple(window_corners(80, 4, 2) for _ in range(2))
    with torch.inference_mode():
        _, squares = plan(chain_of(lensnet), images[0], corners, 4)
    transform, stem = squares.spans[0][0], squares.spans[1][0]
    # the blur reaches 6 pixels to each side; the 5 x 5 convolution 2, and then every second pixel
    assert (transform.patch, transform.box, transform.crop) == (4, 16, 28)
    assert (stem.box, stem.crop) == (10, 24)


@pytest.mark.parametrize(
    "network",
    [Behind(nn.Identity()), Behind(Gate()), Behind(Tilt()), Behind(Forgiving()), Behind(nn.Upsample((9, 9)))],
    ids=["local", "global", "unlike places", "hides its reach", "resampled"],
)
def test_any_network_scores_the_same(network):
    assert_equals_plain(network.eval(), sky(24, 30) / SKY)


def test_layers_that_cannot_be_evaluated_in_part_are_scored_whole():
    images = sky(24, 30) / SKY
    assert layers_used(Behind(nn.Identity()).eval(), images) == 5
    assert layers_used(Behind(Tilt()).eval(), images) == 0
    assert layers_used(Behind(Forgiving()).eval(), images) == 0


@pytest.mark.parametrize("with_prior", [False, True])
def test_the_second_stage_scores_the_same_in_part(with_prior):
    torch.manual_seed(0)
    images, fill = sky(40, 45).split(1)
    deep = DeepLensNet(LensNetConfig(width=8, middle_pixels=26))
    deep.train()(sky(40, 45, 16))
    torch.nn.init.normal_(deep.head.weight)
    prior = ClassPrior(torch.randn(2, 64), torch.randn(2), {"star": 1.0, "disc": 2.0}) if with_prior else None
    second = SecondStage(deep, prior, {"star": 2.0, "disc": 1.0}).eval()
    corrected, of_training = second.outputs(images)[0, :2]
    assert second(images) == corrected
    assert of_training == deep(images)
    assert (corrected == of_training) == (not with_prior)
    assert_equals_plain(second, images, fill=fill)
    assert layers_used(second, images) == 10  # the transform, a convolution with what follows, six blocks
