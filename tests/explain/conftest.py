"""Fixtures of the tests of explanations."""

import pytest
import torch

from explained_chains import sky
from lensdream.networks.lensnet import LensNet, LensNetConfig


@pytest.fixture(scope="module")
def lensnet():
    """One of random weights, whose normalisations are no identities."""
    torch.manual_seed(0)
    network = LensNet(LensNetConfig(width=8))
    network.train()(sky(40, 40, 16))
    return network.eval()
