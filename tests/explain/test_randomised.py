"""Networks randomised layer by layer."""

import torch

from lensdream.explain.randomised import randomised_from_top
from lensdream.networks.lensnet import LensNet, LensNetConfig


def test_networks_are_randomised_from_the_last_layer_down():
    torch.manual_seed(0)
    model = LensNet(LensNetConfig(width=4)).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    twins = dict(randomised_from_top(model, seed=5))
    assert list(twins) == ["head", "block_3", "block_2", "block_1", "stem"]
    changed = [
        {n.partition(".")[0] for n, value in twin.named_parameters() if not torch.equal(value, before[n])}
        for twin in twins.values()
    ]
    assert changed == [set(list(twins)[: k + 1]) for k in range(len(twins))]
    assert not any(twin.training for twin in twins.values())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    again = dict(randomised_from_top(model, seed=5))
    assert torch.equal(again["stem"].head.weight, twins["stem"].head.weight)
