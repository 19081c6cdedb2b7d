"""Networks written to folders and read back."""

import json

import pytest
import torch

from conftest import blobs
from lensdream.instrument import EUCLID
from lensdream.networks.layout import SETTINGS, images_trained_on
from lensdream.networks.lensnet import DeepLensNet, LensNet, LensNetConfig
from lensdream.networks.model_file import load_model, save_model
from lensdream.networks.ou import OU66, OU200, OUConfig
from lensdream.networks.predict import predict


def sky(n, side):
    """Images of noise [microjansky a pixel]."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 4, side, side, generator=generator) * torch.tensor(EUCLID.sky_sigma).view(1, 4, 1, 1)


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


def test_a_model_survives_the_disk(tmp_path):
    model = LensNet(LensNetConfig(8, 0.1)).eval()
    images = blobs(4, 5).images
    save_model(tmp_path, model, 32)
    assert torch.equal(predict(load_model(tmp_path), images), predict(model, images))
    assert not list(tmp_path.glob("*.part"))
    with pytest.raises(FileNotFoundError, match="run the train stage first"):
        load_model(tmp_path / "nothing")


def test_bands_in_another_order_are_refused(tmp_path):
    save_model(tmp_path, LensNet(LensNetConfig(8, 0.1)), 32)
    settings = tmp_path / "model.json"
    settings.write_text(settings.read_text().replace('"VIS",\n    "Y"', '"Y",\n    "VIS"'))
    with pytest.raises(ValueError, match="train it again"):
        load_model(tmp_path)
