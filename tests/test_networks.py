"""The networks of Wilde et al. 2022: as published, and as ours to the rest of the package."""

import json

import pytest
import torch

from lensdream.finder.finder import load_cascade
from lensdream.instrument import EUCLID
from lensdream.networks.cascade import Cascade, orientations
from lensdream.networks.input import InputTransform, asinh
from lensdream.networks.layout import SETTINGS, digest_of, images_trained_on
from lensdream.networks.lensnet import DeepLensNet, LensNet, LensNetConfig
from lensdream.networks.model_file import load_model, save_model
from lensdream.networks.ou import OU66, OU200, OUConfig
from lensdream.networks.predict import predict

BOTH = pytest.mark.parametrize("network", [OU66, OU200])


def sky(n, side):
    """Images of noise [microjansky a pixel]."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 4, side, side, generator=generator) * torch.tensor(EUCLID.sky_sigma).view(1, 4, 1, 1)


@pytest.mark.parametrize(("network", "published"), [(OU66, 203_192), (OU200, 331_632)])
def test_as_many_weights_as_published(network, published):
    assert sum(weights.numel() for weights in network(OUConfig()).parameters()) == published


@BOTH
@pytest.mark.parametrize("side", [32, 66, 80, 200])
def test_any_stamp_gives_a_logit_an_image(network, side):
    model = network(OUConfig()).eval()
    assert model(sky(2, side)).shape == (2,)
    assert model(sky(1, side)).shape == (1,)


@BOTH
def test_the_logit_is_the_softmax_of_the_two_classes(network):
    model, images = network(OUConfig()).eval(), sky(2, 66)
    by_hand = torch.exp(model.classes(images))
    by_hand = by_hand[:, 1] / by_hand.sum(1)
    assert torch.allclose(torch.sigmoid(model(images)), by_hand, atol=1e-6)


@BOTH
def test_the_binary_loss_is_the_cross_entropy_of_the_two_classes(network):
    model, images, labels = network(OUConfig()).eval(), sky(2, 66), torch.tensor([1.0, 0.0])
    ours = torch.nn.functional.binary_cross_entropy_with_logits(model(images), labels)
    theirs = torch.nn.functional.cross_entropy(model.classes(images), labels.long())
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)


@pytest.mark.parametrize("size", [(21, 30), (20, 20), (40, 20)])
@pytest.mark.parametrize("network", [LensNet, DeepLensNet])
def test_it_sees_the_middle_alone(network, size):
    network, images = network(LensNetConfig(4, middle_pixels=20)).eval(), sky(3, 20)
    margin = [(n - 20) // 2 for n in size]
    larger = torch.full((3, images.shape[1], *size), 100.0)
    larger[..., margin[0] : margin[0] + 20, margin[1] : margin[1] + 20] = images
    with torch.no_grad():
        assert torch.equal(network(larger), network(images))
        assert not torch.equal(network(larger.roll(1, -1)), network(images))


def test_the_deep_network_keeps_the_resolution_for_a_layer():
    network, images = DeepLensNet(LensNetConfig(4)).eval(), sky(1, 80)
    with torch.no_grad():
        assert network.stem(network.transform(network.crop(images))).shape == (1, 2, 64, 64)
        assert network.features(images).shape == (1, 16, 4, 4)


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


@BOTH
def test_every_weight_learns(network):
    model = network(OUConfig(dropout=0.0))
    model(sky(2, 80)).sum().backward()
    assert all(weights.grad.abs().sum() > 0 for weights in model.parameters() if weights.dim() > 1)


@BOTH
def test_there_are_only_relu_modules_and_dropout_follows_every_convolution(network):
    layers = [type(layer).__name__ for layer in network(OUConfig()).features]
    assert layers.count("Dropout") == layers.count("Conv2d") == layers.count("ReLU") == len(network.convolutions)
    assert not {"GELU", "SiLU"} & set(layers)


def test_their_input_is_the_flux_that_lensnet_sees():
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


@pytest.mark.parametrize(
    "model", [OU66(OUConfig(0.3)), OU200(OUConfig()), LensNet(LensNetConfig(4)), DeepLensNet(LensNetConfig(4))]
)
def test_every_network_survives_the_disk(model, tmp_path):
    save_model(tmp_path, model.eval(), 80, 1234)
    read = load_model(tmp_path)
    assert type(read) is type(model)
    assert read.config == model.config
    assert torch.equal(predict(read, sky(2, 80)), predict(model, sky(2, 80)))
    assert images_trained_on(tmp_path) == 1234


def test_a_file_from_before_the_peers_is_read(tmp_path):
    save_model(tmp_path, LensNet(LensNetConfig(4)), 80)
    settings = json.loads((tmp_path / SETTINGS).read_text())
    del settings["images_trained_on"]
    (tmp_path / SETTINGS).write_text(json.dumps(settings))
    assert isinstance(load_model(tmp_path), LensNet)
    assert images_trained_on(tmp_path) is None


def test_an_unknown_network_is_refused_with_the_remedy(tmp_path):
    save_model(tmp_path, OU66(OUConfig()), 80)
    settings = tmp_path / SETTINGS
    settings.write_text(settings.read_text().replace("OU66", "OU67"))
    with pytest.raises(ValueError, match="holds a OU67.*reads a DeepLensNet, LensNet, OU200, OU66.*train it again"):
        load_model(tmp_path)


def test_the_quick_inverse_hyperbolic_sine_is_torchs():
    x = torch.cat([torch.zeros(1), torch.logspace(-6, 8, 300)])
    x = torch.cat([-x, x]).requires_grad_()
    ours, theirs = asinh(x), torch.asinh(x.double())
    assert torch.allclose(ours.double(), theirs, rtol=1e-6, atol=1e-6)
    (slope,) = torch.autograd.grad(ours.sum(), x)
    lit = x != 0
    assert torch.allclose(slope[lit], 1 / torch.sqrt(1 + x[lit] ** 2), rtol=1e-3)
