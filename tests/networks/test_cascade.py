"""Two networks in a cascade: the gate between them, and eight orientations above it."""

import torch

from lensdream.finder.finder import load_cascade
from lensdream.instrument import EUCLID
from lensdream.networks.cascade import Cascade, orientations
from lensdream.networks.layout import digest_of
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.model_file import load_model, save_model
from lensdream.networks.predict import predict


def sky(n, side):
    """Images of noise [microjansky a pixel]."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 4, side, side, generator=generator) * torch.tensor(EUCLID.sky_sigma).view(1, 4, 1, 1)


def test_logits_above_the_gate_are_the_mean_of_eight_orientations():
    network, images = LensNet(LensNetConfig(4)).eval(), sky(6, 40)
    with torch.no_grad():
        first = network(images)
        turned = torch.stack([network(image) for image in orientations(images)])
        gate = float(first.median())
        found = Cascade(network, gate=gate)(images)
        passing = first > gate
        assert passing.any()
        assert not passing.all()
        assert torch.equal(found[~passing], first[~passing])
        assert torch.allclose(found[passing], turned.mean(0)[passing], atol=1e-5)
        assert not torch.allclose(found[passing], first[passing], atol=1e-5)
        # so the sky may be turned and mirrored
        everything = Cascade(network, gate=-torch.inf)
        for image in orientations(images):
            assert torch.allclose(everything(image), everything(images), atol=1e-5)
        assert torch.equal(Cascade(network, gate=torch.inf)(images), first)


def test_the_eight_orientations_differ():
    image = torch.arange(9.0).view(3, 3)
    found = orientations(image)
    assert torch.equal(found[0], image)
    assert len({tuple(turned.flatten().tolist()) for turned in found}) == 8


def test_the_first_stage_of_a_cascade_is_the_network_of_its_folder(tmp_path):
    save_model(tmp_path, LensNet(LensNetConfig(4)).eval(), 80)
    cascade, network = load_cascade(tmp_path), load_model(tmp_path)
    assert torch.equal(predict(cascade.first, sky(2, 80)), predict(network, sky(2, 80)))
    assert cascade.second is None


def test_a_second_stage_scores_above_the_gate_and_nothing_below(tmp_path):
    torch.manual_seed(5)
    save_model(tmp_path, LensNet(LensNetConfig(4)).eval(), 80)
    digest = digest_of(tmp_path)
    save_model(tmp_path / "second", LensNet(LensNetConfig(6)).eval(), 80)
    assert digest_of(tmp_path) != digest
    cascade, alone, images = load_cascade(tmp_path), Cascade(load_model(tmp_path)), sky(6, 80)
    with torch.no_grad():
        first = cascade.first(images)
        cascade.gate = alone.gate = float(first.median())
        found, passing = cascade(images), first > cascade.gate
        turned = torch.stack([cascade.second(image) for image in orientations(images)])
        assert torch.equal(found[~passing], first[~passing])
        assert torch.allclose(found[passing], turned.mean(0)[passing], atol=1e-5)
        assert not torch.allclose(found[passing], alone(images)[passing], atol=1e-5)
        assert torch.equal(cascade.outputs(images), torch.stack([found, found], 1))  # no class prior: one mix
