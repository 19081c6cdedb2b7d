"""The renderer against lenstronomy, and its invariants."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from conftest import COSMOLOGY, join, random_scene
from lensdream.instrument import EUCLID, Band, microjansky
from lensdream.optics.sampling import Frame
from lensdream.render.reference import lenstronomy_image, reference_noiseless
from lensdream.render.renderer import Renderer
from lensdream.scene import BACKGROUND_COLUMNS, FLUX_COLUMNS, SKY_COLUMNS, Role, Scenes

# every pixel sampled alike, as lenstronomy does
UNIFORM = Frame(stamp=48, padding=16, supersampling=3, fine_width=80, pixel_scale=0.1, integrate=False)
USUAL = Frame(stamp=48, padding=16, supersampling=3, fine_width=44, pixel_scale=0.1)
ARTEFACTS = ("cosmic_rays", "hot_pixels", "dead_columns", "edge", "missing_bands")


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
def test_agrees_with_lenstronomy(sources, shape):
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


def elliptical(place, index=4.0):
    """A galaxy of VIS 19.5 and nothing else, its cusp at a place [arcsec]."""
    scene = random_scene(np.random.default_rng(5), 0).without({Role.NEIGHBOUR})
    scene.scenes.loc[:, "psf"] = 0
    scene.components.loc[:, ["x", "y", "r_e", "sersic_index", "q"]] = *place, 0.7, index, 0.7
    scene.components.loc[:, list(FLUX_COLUMNS)] = microjansky(19.5) * np.array([1.0, 1.6, 2.0, 2.4])
    return scene


@pytest.mark.parametrize("place", [(0.0, 0.0), (0.013, -0.031), (0.05, 0.05), (2.3, 0.0)])
@pytest.mark.parametrize("index", [1.0, 4.0, 5.5])
def test_a_cusp_is_integrated(place, index):
    # the brightest pixel is at some 750 scatters of the sky; the truth samples nine times more finely
    fine = Frame(stamp=48, padding=16, supersampling=9, fine_width=80, pixel_scale=0.1)
    scene, sky = elliptical(place, index), torch.tensor(EUCLID.sky_sigma).view(4, 1, 1)
    truth, usual, sampled = (
        Renderer(frame, dtype=torch.float64).light(scene)[0][0] / sky
        for frame in (fine, USUAL, replace(USUAL, integrate=False))
    )
    worst, missed = ((image - truth).abs().flatten(1).amax(1) for image in (usual, sampled))
    assert float(worst[Band.VIS]) < (1.0 if place[0] < 2 else 3.0)
    assert float(worst.max()) < 3
    assert float(missed[Band.VIS]) > 3 * float(worst[Band.VIS])


def test_a_compact_source_is_sampled_finely_enough():
    fine = Frame(stamp=48, padding=16, supersampling=9, fine_width=80, pixel_scale=0.1)
    scene = random_scene(np.random.default_rng(11), 1).without({Role.NEIGHBOUR, Role.TARGET})
    scene.components.loc[:, ["x", "y", "r_e", "sersic_index"]] = 0.1, 0.05, 0.03, 1.0
    scene.components.loc[:, list(FLUX_COLUMNS)] = microjansky(24.5)
    truth, usual = (Renderer(frame, dtype=torch.float64).light(scene)[0][0, Band.VIS] for frame in (fine, USUAL))
    assert float((usual - truth).abs().max()) < 2 * EUCLID.sky_sigma[Band.VIS]


@pytest.mark.parametrize("sources", [1, 2], ids=["single", "two-plane"])
def test_a_compact_source_is_sampled_finely_enough_outside_the_fine_square(sources):
    # a ring of 1.5 arcsec around a square 1.2 arcsec wide: all of it lies outside
    truth_frame = Frame(stamp=48, padding=16, supersampling=9, fine_width=80, pixel_scale=0.1)
    narrow = replace(USUAL, fine_width=12)
    scene = random_scene(np.random.default_rng(11), sources).without({Role.NEIGHBOUR, Role.TARGET})
    scene.scenes.loc[:, ["theta_E_1", "theta_E_2", "mass_x", "mass_y"]] = 1.5, 1.9, 0.0, 0.0
    scene.components.loc[:, ["x", "y", "r_e", "sersic_index"]] = 0.1, 0.05, 0.02, 1.0
    scene.components.loc[:, list(FLUX_COLUMNS)] = microjansky(24.5)
    sky = torch.tensor(EUCLID.sky_sigma).view(4, 1, 1)
    # the arc's peak is at 340 scatters of the sky
    truth, arcs, flux = (part[0] for part in Renderer(truth_frame, dtype=torch.float64).light(scene))
    ours, our_arcs, our_flux = (part[0] for part in Renderer(narrow, dtype=torch.float64).light(scene))
    assert float(((ours - truth).abs() / sky).max()) < 2
    assert float((our_arcs - arcs).abs().max() / sky[Band.VIS]) < 2
    assert torch.allclose(our_flux, flux, rtol=0.01)


TRUTH_FRAME = Frame(stamp=48, padding=16, supersampling=9, fine_width=80, pixel_scale=0.1)


def worst_pixel(scene, frame):
    """Largest error in any band, in scatters of the sky, and the highest peak in the same."""
    sky = torch.tensor(EUCLID.sky_sigma).view(4, 1, 1)
    truth = Renderer(TRUTH_FRAME, dtype=torch.float64).light(scene)[0][0] / sky
    return float((Renderer(frame, dtype=torch.float64).light(scene)[0][0] / sky - truth).abs().max()), float(
        truth.max()
    )


def test_the_cusp_of_a_lensed_early_type_is_sampled_finely_enough(monkeypatch):
    scene = random_scene(np.random.default_rng(11), 1).without({Role.NEIGHBOUR, Role.TARGET})
    scene.components.loc[:, ["x", "y", "r_e", "sersic_index"]] = 0.2, 0.05, 0.11, 4.2
    scene.components.loc[:, list(FLUX_COLUMNS)] = microjansky(23.5)
    error, peak = worst_pixel(scene, USUAL)
    assert peak > 150
    assert error < 2
    monkeypatch.setattr("lensdream.render.renderer.CUSP_SUBSAMPLES", 5)
    assert worst_pixel(scene, USUAL)[0] > 1.5 * error


def test_the_core_of_a_wide_lensed_disc_is_sampled_finely_enough_outside_the_fine_square():
    # its images lie 1.5 arcsec from the centre of a square 1.2 arcsec wide
    scene = random_scene(np.random.default_rng(11), 1).without({Role.NEIGHBOUR, Role.TARGET})
    scene.scenes.loc[:, ["theta_E_1", "mass_x", "mass_y"]] = 1.5, 0.0, 0.0
    scene.components.loc[:, ["x", "y", "r_e", "sersic_index"]] = 0.1, 0.05, 0.165, 1.2
    scene.components.loc[:, list(FLUX_COLUMNS)] = microjansky(22.7)
    error, peak = worst_pixel(scene, replace(USUAL, fine_width=12))
    assert peak > 200
    assert error < 2


@pytest.mark.parametrize(
    ("r_e", "sersic_index", "magnitude"), [(0.107, 0.5, 22.7), (0.55, 2.9, 18.0)], ids=["clump", "glaring"]
)
def test_a_neighbour_outside_the_fine_square_is_sampled_finely_enough(r_e, sersic_index, magnitude):
    scene = random_scene(np.random.default_rng(11), 1).without({Role.SOURCE_1, Role.TARGET})
    scene = Scenes(scene.scenes, scene.components.iloc[:1].copy())
    scene.components.loc[:, ["x", "y", "r_e", "sersic_index", "q"]] = 1.52, -0.33, r_e, sersic_index, 0.4
    scene.components.loc[:, list(FLUX_COLUMNS)] = microjansky(magnitude)
    error, peak = worst_pixel(scene, replace(USUAL, fine_width=12))
    assert peak > 100
    assert error < 2


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
