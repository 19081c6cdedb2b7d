"""Networks written to folders and read back."""

import copy
import json

import numpy as np
import pytest
import safetensors.torch
import torch

from conftest import ROOT, blobs, random_scene
from lensdream.instrument import EUCLID
from lensdream.networks.layout import SETTINGS, WEIGHTS, images_trained_on
from lensdream.networks.lensnet import DeepLensNet, LensNet, LensNetConfig
from lensdream.networks.model_file import (
    LARGEST_CHANGE,
    SMALLEST_HALF,
    load_model,
    logit_change,
    rounded,
    save_model,
)
from lensdream.networks.ou import OU66, OUConfig
from lensdream.render.renderer import Renderer

COMMITTED = ("poster", "poster/second", "poster/compound", "poster/peers/ou66", "quick", "quick/compound")


def sky(n, side):
    """Images of noise [microjansky a pixel]."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 4, side, side, generator=generator) * torch.tensor(EUCLID.sky_sigma).view(1, 4, 1, 1)


@pytest.fixture(scope="module")
def simulated():
    """Rendered images of empty, single and double deflectors [microjansky a pixel]."""
    renderer, rng = Renderer(), np.random.default_rng(2)
    return torch.cat([renderer.render(random_scene(rng, k % 3)).images for k in range(30)])


@pytest.mark.parametrize("name", COMMITTED)
def test_rounding_changes_no_logit_of_a_trained_network_by_more_than_the_bound(name, simulated, tmp_path):
    model = load_model(ROOT / "models" / name)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():  # as before it was rounded, if it was
        for weights in model.parameters():
            weights.mul_(1 + 2**-11 * (2 * torch.rand(weights.shape, generator=generator) - 1))
    before = copy.deepcopy(model.state_dict())
    save_model(tmp_path, model, 80)
    read = load_model(tmp_path)
    assert 1e-5 < logit_change(read, model, simulated) < LARGEST_CHANGE
    assert all(tensor.dtype == torch.float32 for tensor in read.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_file_in_float16_is_half_as_long_and_one_in_float32_is_read_to_the_bit(tmp_path):
    model = LensNet(LensNetConfig()).eval()
    for folder, round_weights in (("half", True), ("whole", False)):
        save_model(tmp_path / folder, model, 80, round_weights=round_weights)
    half, whole = ((tmp_path / folder / WEIGHTS).stat().st_size for folder in ("half", "whole"))
    assert half < 0.53 * whole
    assert logit_change(load_model(tmp_path / "whole"), model, sky(4, 80)) == 0
    again = rounded(load_model(tmp_path / "half").state_dict())
    assert safetensors.torch.save(again) == safetensors.torch.save(
        safetensors.torch.load_file(tmp_path / "half" / WEIGHTS)
    )


def test_only_large_tensors_within_the_range_of_float16_are_rounded():
    n = SMALLEST_HALF
    state = {
        "large": torch.linspace(-1, 1, n), "small": torch.linspace(-1, 1, n - 1), "whole": torch.arange(n),
        "beyond": torch.full((n,), 1e5), "unknown": torch.full((n,), torch.nan),
    }  # fmt: skip
    found = rounded(state)
    assert [name for name in state if found[name].dtype != state[name].dtype] == ["large"]
    assert found["large"].dtype == torch.float16
    assert all(found[name] is state[name] for name in ("small", "whole", "beyond", "unknown"))


@pytest.mark.parametrize("model", [OU66(OUConfig(0.3)), LensNet(LensNetConfig(4)), DeepLensNet(LensNetConfig(4))])
def test_every_network_survives_the_disk(model, tmp_path):
    save_model(tmp_path, model.eval(), 80, 1234)
    read = load_model(tmp_path)
    assert type(read) is type(model)
    assert read.config == model.config
    assert logit_change(read, model, sky(2, 80)) < LARGEST_CHANGE
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
    with pytest.raises(ValueError, match="holds a OU67.*reads a DeepLensNet, LensNet, OU66.*train it again"):
        load_model(tmp_path)


def test_a_model_survives_the_disk(tmp_path):
    model = LensNet(LensNetConfig(8, 0.1)).eval()
    images = blobs(4, 5).images
    save_model(tmp_path, model, 32)
    assert logit_change(load_model(tmp_path), model, images) < LARGEST_CHANGE
    assert not list(tmp_path.glob("*.part"))
    with pytest.raises(FileNotFoundError, match="run the train stage first"):
        load_model(tmp_path / "nothing")


def test_bands_in_another_order_are_refused(tmp_path):
    save_model(tmp_path, LensNet(LensNetConfig(8, 0.1)), 32)
    settings = tmp_path / "model.json"
    settings.write_text(settings.read_text().replace('"VIS",\n    "Y"', '"Y",\n    "VIS"'))
    with pytest.raises(ValueError, match="train it again"):
        load_model(tmp_path)
