"""Components left out of scenes, against what the renderer says of each."""

import numpy as np
import pytest
import torch

from conftest import join, random_scene
from lensdream.explain.ablation import DISJOINT, ablate, counter_image, disjoint_masks
from lensdream.instrument import Band
from lensdream.optics.sampling import Frame
from lensdream.render.renderer import Renderer
from lensdream.scene import Role


@pytest.fixture(scope="module")
def renderer():
    return Renderer(Frame(stamp=40, padding=8, supersampling=1, fine_width=20, pixel_scale=0.1))


@pytest.fixture(scope="module")
def scenes():
    rng = np.random.default_rng(3)
    return join([random_scene(rng, sources, index) for index, sources in enumerate((0, 1, 2))])


@pytest.fixture(scope="module")
def ablated(renderer, scenes):
    return ablate(renderer, scenes)


def test_each_component_is_taken_from_the_scenes_that_have_it(ablated):
    _, parts = ablated
    places = {name: part.rows.tolist() for name, part in parts.items()}
    assert places["target"] == places["neighbours"] == [0, 1, 2]
    assert places["arcs"] == places["source_1"] == [1, 2]
    assert places["source_2"] == [2]


def test_scene_without_a_component_is_the_scene_drawn_without_it(renderer, scenes, ablated):
    _, parts = ablated
    alone = renderer.render(scenes.take(np.array([2])).without({Role.SOURCE_2}))
    torch.testing.assert_close(parts["source_2"].without, alone.images, rtol=1e-5, atol=1e-5)


def test_sky_stays_where_the_component_was_not(ablated):
    whole, parts = ablated
    part = parts["arcs"]
    change = (whole.images[part.rows] - part.without)[:, Band.VIS]
    light = whole.noiseless[part.rows, Band.VIS]
    assert change[~part.mask].abs().median() < 0.2 * change[part.mask].abs().median()
    assert (change[light < 1e-6].abs() < 1e-6).all()


def test_disjoint_masks_give_an_arcs_pixels_to_the_arc():
    arc, galaxy = np.zeros((2, 6, 6), bool)
    arc[2], galaxy[1:5, 1:5] = True, True
    masks = dict(disjoint_masks({"arcs": arc, "source_1": arc, "target": galaxy}))
    assert list(masks) == ["source_1", "target"]
    assert (masks["source_1"] == arc).all()
    assert masks["target"].sum() == 12
    assert (dict(disjoint_masks({"target": galaxy}))["target"] == galaxy).all()
    assert set(masks) <= set(DISJOINT)


def double(counter_at, counter_flux):
    """An arc of flux 30 at x = 30 and a spot, in an image 41 pixels wide: light and mask."""
    light = np.zeros((41, 41))
    light[15:25, 30:32] = 1.5
    light[19:22, counter_at : counter_at + 2] = counter_flux / 6
    return light, light > 0.1


def test_fainter_and_nearer_image_is_the_counter_image():
    light, mask = double(16, 6.0)
    region = counter_image(light, mask, (0.0, 0.0))
    assert region[20, 16]
    assert not region[20, 30]
    assert (region & mask).sum() == 6


@pytest.mark.parametrize(("at", "flux"), [(5, 6.0), (16, 600.0)], ids=["farther away", "brighter"])
def test_other_pairs_of_images_are_not_told_apart(at, flux):
    assert counter_image(*double(at, flux), (0.0, 0.0)) is None


def test_one_image_or_three_have_no_counter_image():
    light, mask = double(16, 6.0)
    assert counter_image(light, mask & (np.arange(41) > 25), (0.0, 0.0)) is None
    light[2:5, 2:5] = 1.0
    assert counter_image(light, light > 0.1, (0.0, 0.0)) is None
    assert counter_image(np.zeros((9, 9)), np.zeros((9, 9), bool), (0.0, 0.0)) is None
