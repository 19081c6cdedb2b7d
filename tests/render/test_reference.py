"""The renderer against lenstronomy."""

import dataclasses

import numpy as np
import pytest
import torch

from conftest import COSMOLOGY, SMALL_IMAGES, join, random_scene
from lensdream import config
from lensdream.dataset import write
from lensdream.dataset.store import ImageStore
from lensdream.instrument import Band
from lensdream.optics.sampling import Frame
from lensdream.render.batch import RENDERERS
from lensdream.render.reference import lenstronomy_image, reference_noiseless
from lensdream.render.renderer import Renderer

# every pixel sampled alike, as lenstronomy does
UNIFORM = Frame(stamp=48, padding=16, supersampling=3, fine_width=80, pixel_scale=0.1, integrate=False)


def plain(rng):
    return {}


def ringed(rng):
    return {"ring_width": rng.uniform(0.1, 0.4)}


def armed(rng):
    number = rng.integers(1, 5)
    pitch = rng.choice([-1, 1]) * np.arctan(number * rng.uniform(0.07, 0.3))
    return {
        "arm_contrast": rng.uniform(0.3, 2.0), "arm_number": number, "arm_pitch": pitch,
        "arm_phase": rng.uniform(0, 6), "sersic_index": rng.uniform(0.6, 1.2),
    }  # fmt: skip


def arc(rng):
    return ringed(rng) | {"arm_contrast": rng.uniform(2, 8), "arm_number": 1, "arm_pitch": np.pi / 2, "arm_phase": 1.0}


def dusty(rng):
    return armed(rng) | {"dust_width": rng.uniform(0.03, 0.2)}


SHAPES = (plain, ringed, armed, arc, dusty)


def shaped(rng, sources, shape, index=0):
    """A random scene whose every component has a shape."""
    scene = random_scene(rng, sources, index)
    for row in scene.components.index:
        for column, value in shape(rng).items():
            scene.components.loc[row, column] = value
    return scene


@pytest.mark.filterwarnings("ignore:Cosmology is provided")
@pytest.mark.parametrize("sources", [0, 1, 2], ids=["unlensed", "single", "two-plane"])
@pytest.mark.parametrize("shape", SHAPES)
def test_images_agree_with_lenstronomy(sources, shape):
    # a source's arms wind on scales that the rounding of traced rays blurs in float32; the population has none there
    single = 5e-6 if sources == 0 or shape in (plain, ringed) else 3e-5
    rng = np.random.default_rng([sources, SHAPES.index(shape)])
    for band in (Band.VIS, Band.Y, Band.VIS, Band.H):
        scene = shaped(rng, sources, shape)
        truth = lenstronomy_image(scene, UNIFORM, COSMOLOGY, band)
        for dtype, bound in ((torch.float64, 1e-8), (torch.float32, single)):
            ours = Renderer(UNIFORM, dtype=dtype).light(scene)[0][0, band].numpy()
            assert np.abs(ours - truth).max() <= bound * truth.max()


@pytest.mark.filterwarnings("ignore:Cosmology is provided")
@pytest.mark.parametrize("sources", [1, 2], ids=["single", "two-plane"])
def test_two_deflectors_agree_with_lenstronomy(sources):
    scene = random_scene(np.random.default_rng(20 + sources), sources)
    alone = Renderer(UNIFORM, dtype=torch.float64).light(scene)[0]
    scene.scenes.loc[:, ["theta_E_b", "mass_b_q", "mass_b_phi", "mass_b_x", "mass_b_y"]] = 0.6, 0.7, 0.4, 0.8, -0.5
    for dtype, bound in ((torch.float64, 1e-8), (torch.float32, 5e-6)):
        ours = Renderer(UNIFORM, dtype=dtype).light(scene)[0]
        for band in (Band.VIS, Band.H):
            truth = lenstronomy_image(scene, UNIFORM, COSMOLOGY, band)
            assert np.abs(ours[0, band].numpy() - truth).max() <= bound * truth.max()
    assert float((ours - alone).abs().max()) > 0.01 * float(alone.max())
    # beside scenes with one deflector it is the same
    other = random_scene(np.random.default_rng(7), 1, 1)
    batch = Renderer(UNIFORM).light(join([other, _renumbered(scene, 2)]))[0]
    assert torch.allclose(batch[1], ours[0], rtol=1e-4, atol=1e-6)


def _renumbered(scene, index):
    return type(scene)(scene.scenes.assign(index=index), scene.components.assign(scene=index))


@pytest.mark.filterwarnings("ignore:Cosmology is provided")
def test_the_reference_draws_batches():
    scenes = join([random_scene(np.random.default_rng(k), k, k) for k in range(3)])
    images = reference_noiseless(scenes, UNIFORM, COSMOLOGY)
    ours = Renderer(UNIFORM, dtype=torch.float64).light(scenes)[0].numpy()
    assert images.shape == ours.shape
    assert (np.abs(ours - images).max((2, 3)) <= 1e-8 * images.max((2, 3))).all()
    assert reference_noiseless(scenes.take([]), UNIFORM, COSMOLOGY).shape == (0, 4, 48, 48)


def test_the_reference_draws_the_light_and_nothing_else(scenes, tmp_path, monkeypatch):
    drawn = []

    def flat(part, frame, cosmology):
        drawn.append(len(part))
        return torch.full((len(part), 4, frame.stamp, frame.stamp), 0.5)

    monkeypatch.setattr("lensdream.render.reference.reference_noiseless", flat)
    few = scenes.take(slice(0, 3))
    write.write_store(few, SMALL_IMAGES, tmp_path / "ours")
    write.write_store(few, dataclasses.replace(SMALL_IMAGES, renderer="lenstronomy"), tmp_path / "theirs")
    ours, theirs = (ImageStore.open(tmp_path / name) for name in ("ours", "theirs"))
    assert drawn == [2, 1]
    assert theirs.manifest["renderer"] == "lenstronomy"
    assert theirs.images([0]).astype(float).mean() == pytest.approx(0.5, abs=0.01)
    np.testing.assert_array_equal(ours.masks(np.arange(3)), theirs.masks(np.arange(3)))
    assert write.record_of(tmp_path / "ours").read_text() != write.record_of(tmp_path / "theirs").read_text()


def test_every_renderer_of_the_settings_is_there():
    (field,) = (field for field in dataclasses.fields(config.SimulateConfig) if field.name == "renderer")
    assert set(field.metadata["names"]) == set(RENDERERS)
