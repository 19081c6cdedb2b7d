"""The renderer against lenstronomy, and its invariants."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from conftest import join, random_scene
from lensdream.instrument import EUCLID, Band
from lensdream.optics.sampling import Frame
from lensdream.render.renderer import Renderer
from lensdream.scene import BACKGROUND_COLUMNS, SKY_COLUMNS, Role

# every pixel sampled alike, as lenstronomy does
UNIFORM = Frame(stamp=48, padding=16, supersampling=3, fine_width=80, pixel_scale=0.1, integrate=False)


USUAL = Frame(stamp=48, padding=16, supersampling=3, fine_width=44, pixel_scale=0.1)


ARTEFACTS = ("cosmic_rays", "hot_pixels", "dead_columns", "edge", "missing_bands")


def _renumbered(scene, index):
    return type(scene)(scene.scenes.assign(index=index), scene.components.assign(scene=index))


def test_coarse_outskirts_cost_little_accuracy():
    scenes = join([random_scene(np.random.default_rng(k), 1, k) for k in range(8)])
    fine, usual = (Renderer(frame).light(scenes)[0] for frame in (replace(UNIFORM, integrate=True), USUAL))
    sky = torch.tensor(EUCLID.sky_sigma).view(1, 4, 1, 1)
    assert float(((fine - usual).abs() / sky).median()) < 0.05


def test_an_image_depends_on_its_own_scene_alone():
    scenes = join([random_scene(np.random.default_rng(k), k % 3, 10 + k) for k in range(5)])
    together = Renderer(USUAL).render(scenes).images
    for k in (0, 3, 4):
        alone = Renderer(USUAL).render(scenes.take([k])).images[0]
        assert torch.allclose(alone, together[k], rtol=1e-4, atol=1e-6)
    reverse = Renderer(USUAL).render(scenes.take([4, 3, 2, 1, 0])).images
    assert torch.allclose(reverse.flip(0), together, rtol=1e-4, atol=1e-6)


def test_components_that_all_lie_off_the_stamp_leave_it_dark():
    scene = random_scene(np.random.default_rng(2), 0)
    scene.components.loc[:, ["x", "r_e", "sersic_index"]] = 30.0, 0.1, 1.0
    assert not Renderer(USUAL).light(scene)[0].any()


def test_compact_components_are_left_out_only_where_they_are_dark(monkeypatch):
    scenes = join([random_scene(np.random.default_rng(k), k % 3, k) for k in range(6)])
    scenes.components.loc[scenes.components["role"] == Role.NEIGHBOUR, ["r_e", "sersic_index"]] = 0.1, 1.0
    renderer = Renderer(USUAL, dtype=torch.float64)
    culled = renderer.light(scenes)
    monkeypatch.setattr("lensdream.render.renderer.WIDE", 0.0)
    for ours, truth in zip(culled, renderer.light(scenes), strict=True):
        assert not torch.equal(ours, truth)
        peak = truth.flatten(2).amax(-1) if truth.ndim > 2 else truth
        assert ((ours - truth).abs().reshape(*peak.shape, -1).amax(-1) <= 1e-8 * peak).all()


def test_arcs_are_what_light_says():
    scenes = join([random_scene(np.random.default_rng(k), k % 3, 10 + k) for k in range(6)])
    renderer = Renderer(USUAL, dtype=torch.float64)
    _, truth, flux = renderer.light(scenes)
    arcs, arc_flux = renderer.arcs(scenes)
    assert torch.allclose(arcs, truth, rtol=0, atol=1e-12)
    assert torch.allclose(arc_flux, flux, rtol=0, atol=1e-12)
    # plane 0 has no source
    assert not arcs[0, 1:].any()
    assert arcs[2, 2].any()


@pytest.mark.parametrize("column", ARTEFACTS)
def test_artefacts_spoil_their_own_scene_alone(column):
    scenes = join([random_scene(np.random.default_rng(k), 0, k) for k in range(3)])
    renderer = Renderer(USUAL)
    clean = renderer.render(scenes)
    scenes.scenes.loc[1, column] = 0.3 if column == "edge" else 5
    spoilt, again = renderer.render(scenes), renderer.render(scenes.take([1]))
    assert torch.equal(spoilt.noiseless, clean.noiseless)
    assert torch.equal(spoilt.images[[0, 2]], clean.images[[0, 2]])
    changed = spoilt.images[1] != clean.images[1]
    assert changed.any()
    assert changed.float().mean() < 0.8
    assert torch.allclose(again.images[0], spoilt.images[1], rtol=1e-4, atol=1e-6)


def test_light_of_the_parts_adds_up():
    scene = random_scene(np.random.default_rng(3), 2)
    renderer = Renderer(USUAL, dtype=torch.float64)
    whole = renderer.light(scene)[0]
    arcs = {Role.SOURCE_1, Role.SOURCE_2}
    rest, only = renderer.light(scene.without(arcs))[0], renderer.light(scene.without({Role.TARGET, Role.NEIGHBOUR}))[0]
    assert torch.allclose(whole, rest + only, atol=1e-12)


def test_flux_of_an_unlensed_galaxy_is_kept():
    scene = random_scene(np.random.default_rng(5), 0)
    scene.components.loc[:, ["x", "y"]] = 0.0
    scene.components.loc[:, ["r_e", "sersic_index"]] = 0.3, 1.0
    image = Renderer(USUAL, dtype=torch.float64).light(scene)[0][0]
    total = scene.components[[f"flux_{band.name}" for band in Band]].sum().to_numpy()
    assert image.sum((1, 2)).numpy() == pytest.approx(total, rel=0.02)  # the point spread's wings leave the stamp


def test_magnification_of_a_point_like_source_behind_a_sphere():
    # a SIS magnifies a source at beta < theta_E by 2 theta_E / beta in all
    scene = random_scene(np.random.default_rng(7), 1)
    scene.scenes.loc[:, ["mass_q", "shear_1", "shear_2", "mass_x", "mass_y", "theta_E_1"]] = 1.0, 0, 0, 0, 0, 1.0
    source = scene.components["role"] == Role.SOURCE_1
    scene.components.loc[source, ["x", "y", "r_e", "sersic_index"]] = 0.3, 0.0, 0.05, 0.5
    flux = Renderer(UNIFORM, dtype=torch.float64).light(scene)[2][0, 1]
    assert float(flux / scene.components.loc[source, "flux_VIS"].iloc[0]) == pytest.approx(2 / 0.3, rel=0.02)


def test_noise_has_the_sky_and_the_sources_in_it():
    scene = random_scene(np.random.default_rng(9), 0)
    scene.components.loc[:, "r_e"] = 0.2
    scenes = join([scene] * 1)
    renderer = Renderer(USUAL)
    drawn = []
    for seed in range(200):
        scenes.scenes.loc[:, "seed"] = seed
        rendered = renderer.render(scenes)
        drawn.append((rendered.images - rendered.noiseless)[0])
    scatter = torch.stack(drawn).std(0)
    flux = rendered.noiseless[0]
    for band in Band:
        response = EUCLID.bands[band]
        expected = torch.sqrt(response.sky_sigma**2 + flux[band].clamp(min=0) / response.electrons_per_microjansky)
        assert float((scatter[band] / expected).mean()) == pytest.approx(1.0, abs=0.02)


def test_noise_and_sky_residual_are_those_of_the_scene():
    scene = random_scene(np.random.default_rng(9), 0).without(set(Role))
    scale, background = np.array([2.0, 1.5, 3.0, 2.5]), np.array([5.0, -3.0, 2.0, 4.0])  # against the survey's sky
    scene.scenes.loc[:, list(SKY_COLUMNS)], scene.scenes.loc[:, list(BACKGROUND_COLUMNS)] = scale, background
    many = join([_renumbered(scene, k) for k in range(60)])
    many.scenes["seed"] = range(60)
    rendered = Renderer(USUAL).render(many)
    sky = (rendered.images / torch.tensor(EUCLID.sky_sigma).view(1, 4, 1, 1)).transpose(0, 1).flatten(1).numpy()
    assert sky.mean(1) == pytest.approx(background, abs=0.1)
    assert sky.std(1) == pytest.approx(scale, rel=0.03)
    assert rendered.sky_sigma[7].numpy() == pytest.approx(scale * EUCLID.sky_sigma)
