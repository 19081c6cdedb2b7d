"""The renderer against lenstronomy, and its invariants."""

import numpy as np
import pytest
import torch

from conftest import COSMOLOGY, join, random_scene
from lensdream.optics.sampling import Frame
from lensdream.scene import Role
from lensdream.simulate.reference import lenstronomy_image
from lensdream.simulate.render import Renderer
from lensdream.survey import EUCLID, Band

UNIFORM = Frame(stamp=48, padding=16, supersampling=3, fine_width=80, pixel_scale=0.1)
USUAL = Frame(stamp=48, padding=16, supersampling=3, fine_width=44, pixel_scale=0.1)


@pytest.mark.filterwarnings("ignore:Cosmology is provided")
@pytest.mark.parametrize("sources", [0, 1, 2], ids=["unlensed", "single", "two-plane"])
@pytest.mark.parametrize("band", [Band.VIS, Band.H])
def test_agrees_with_lenstronomy(sources, band):
    rng = np.random.default_rng([sources, band])
    for _ in range(6):
        scene = random_scene(rng, sources)
        truth = lenstronomy_image(scene, UNIFORM, COSMOLOGY, band)
        for dtype, bound in ((torch.float64, 1e-8), (torch.float32, 5e-6)):
            ours = Renderer(UNIFORM, dtype=dtype).light(scene)[0][0, band].numpy()
            assert np.abs(ours - truth).max() <= bound * truth.max()


def test_coarse_outskirts_cost_little_accuracy():
    scenes = join([random_scene(np.random.default_rng(k), 1, k) for k in range(8)])
    fine, usual = (Renderer(frame).light(scenes)[0] for frame in (UNIFORM, USUAL))
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
