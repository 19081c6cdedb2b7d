"""Single channels: what they answer to, what they do for the logit, what they want."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn

from lensdream.evaluate.explanations import measure
from lensdream.evaluate.explanations.scores import auroc
from lensdream.explain.chain import chain_of
from lensdream.explain.dream import Climb
from lensdream.explain.kernels import activations, maximising, silencing_effects
from lensdream.instrument import EUCLID, N_BANDS, Band

SKY = torch.tensor(EUCLID.sky_sigma)


class ByBand(nn.Module):
    """A channel a band, at half the size; channel k weighs k + 1 in the logit."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Conv2d(N_BANDS, N_BANDS, 2, 2, bias=False), nn.ReLU())
        self.layer[0].weight.data = torch.eye(N_BANDS)[:, :, None, None].expand(-1, -1, 2, 2) / 4
        self.head = nn.Linear(N_BANDS, 1, bias=False)
        self.head.weight.data = torch.arange(1.0, N_BANDS + 1)[None]

    def forward(self, x):
        return self.head(self.layer(x).mean((2, 3)))[:, 0]


@pytest.fixture
def network():
    return ByBand().eval()


@pytest.fixture
def images():
    images = torch.zeros(3, N_BANDS, 16, 20)
    images[1, Band.J, 6:8, 10:12] = 5.0
    images[2] = -1.0
    return images


def test_activations_have_a_size_and_a_position(network, images):
    found = activations(chain_of(network).split(2), images, batch=2)
    assert found.mean.shape == found.peak.shape == (3, N_BANDS)
    assert found.peak[1].tolist() == [0, 0, 5, 0]
    assert found.mean[1, Band.J] == pytest.approx(5.0 / 80)
    assert found.positions[1, Band.J].tolist() == [6.5, 10.5]
    assert not found.peak[2].any()  # below 0 there is no activation


def test_activations_of_a_crop_have_their_positions_in_the_image(network, images):
    centre = activations(chain_of(network).split(2), images)
    around = torch.nn.functional.pad(images, (4, 3, 6, 6), value=9.0)
    found = activations(dataclasses.replace(chain_of(network), cut=lambda x: x[..., 6:22, 4:24]).split(2), around)
    torch.testing.assert_close(found.peak, centre.peak)
    torch.testing.assert_close(found.positions, centre.positions + torch.tensor([6.0, 4.0]))


def test_effect_is_what_the_logit_loses_without_the_channel(network, images):
    images[0] = 2.0
    lost = silencing_effects(chain_of(network).split(2), images, batch=2)
    torch.testing.assert_close(lost[0], 2.0 * torch.arange(1.0, N_BANDS + 1))
    torch.testing.assert_close(lost[1], torch.tensor([0, 0, 3 * 5.0 / 80, 0]))
    torch.testing.assert_close(lost.sum(1), network(images).detach())


def climb(network, seed=0, **changes):
    settings = {"climb": Climb(steps=4, octaves=1, jitter=1, step_size=2.0), "highest": 100 * SKY} | changes
    start = torch.randn(N_BANDS, 16, 16, generator=torch.Generator().manual_seed(1)) * SKY[:, None, None]
    channels = torch.tensor([Band.H, Band.VIS])
    return start, maximising(network, network.layer[1], channels, start, sky_sigma=SKY, seed=seed, **settings)


def test_climbed_images_hold_what_the_channel_wants_and_nothing_else(network):
    start, images = climb(network)
    change = (images - start) / SKY[:, None, None]
    assert change[0, Band.H, 8:10, 8:10].min() > 1.0
    assert change[0, : Band.H].abs().max() < 1e-5
    assert change[1, Band.VIS, 8:10, 8:10].min() > 1.0
    assert change[1, 1:].abs().max() < 1e-5
    far = change[0, Band.H].clone()
    far[4:14, 4:14] = 0  # the jitter moves the middle by one pixel
    assert far.abs().max() < 1e-5


def test_climbs_repeat_themselves_and_leave_the_network_alone(network):
    _, one = climb(network)
    assert torch.equal(one, climb(network)[1])
    assert torch.equal(one[:1], climb(network, batch=1)[1][:1])
    assert not any(m._forward_pre_hooks for m in network.modules())
    assert all(p.grad is None for p in network.parameters())


def test_auroc_counts_pairs_and_halves_ties():
    positive = np.array([True, True, False, False])
    assert auroc(np.array([3.0, 2.0, 1.0, 0.0]), positive) == 1
    assert auroc(np.array([0.0, 2.0, 1.0, 3.0]), positive) == 0.25
    assert auroc(np.zeros(4), positive) == 0.5
    assert math.isnan(auroc(np.zeros(4), np.ones(4, bool)))


def test_channels_are_summed_up():
    rng, lens = np.random.default_rng(0), np.arange(200) < 100
    mean = rng.random((200, 4)) * 0.1
    mean[lens, 1] += 1.0
    mean[~lens, 2] += 0.05
    mean[:, 3] = 0
    effect = np.array([[0.1, -2.0, 0.3, 0.0], [0.2, 1.0, 0.1, 0.0]])
    table = measure.channel_table(mean, effect, lens, np.array([True, False]))
    assert table["auroc"][1] == 1
    assert table["auroc"][3] == 0.5
    assert table["effect"].tolist() == pytest.approx([0.15, 1.5, 0.2, 0])
    assert table["effect_lens"].tolist() == pytest.approx([0.1, -2.0, 0.3, 0])
    result = measure.measure_channels(table, mean, lens, seed=0)
    assert result["n_silent"] == 1
    assert (result["n_higher_for_lenses"], result["n_higher_for_non_lenses"]) == (1, 1)
    assert (result["strongest"], result["best"]) == (1, 1)
    assert result["best_auroc"] == {"value": 1, "low": 1, "high": 1}


def test_channels_of_one_class_have_no_differences():
    lens = np.ones(5, bool)
    table = measure.channel_table(np.ones((5, 2)), np.ones((1, 2)), lens, lens[:1])
    assert table["non_lens"].isna().all()
    result = measure.measure_channels(table, np.ones((5, 2)), lens, seed=0)
    assert result["n_higher_for_lenses"] == result["n_higher_for_non_lenses"] == 0
    assert math.isnan(table["auroc"][0])
    assert result["best_auroc"] == {"value": None, "low": None, "high": None}
