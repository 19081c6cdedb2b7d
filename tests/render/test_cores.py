"""Light around cusps, put back where it was taken out."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from conftest import random_scene
from lensdream.instrument import EUCLID, Band, microjansky
from lensdream.optics.sampling import Frame
from lensdream.render.cores import Cells, Core, extract_cores, near
from lensdream.render.profiles import columns_of, profile
from lensdream.render.renderer import Renderer
from lensdream.scene import COMPONENT_COLUMNS, FLUX_COLUMNS, Role, Scenes

SAMPLES, PIXELS = 3, 8


FINE = SAMPLES * PIXELS


def brightness(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@pytest.mark.parametrize(("row", "column"), [(4, 7), (-2, 5), (20, 21), (-3, 22)])
def test_a_core_is_added_where_it_begins_and_cut_at_the_edge(row, column):
    core = Core(torch.ones(1), row, column, brightness(6, 6))
    fine = torch.zeros(2, FINE, FINE, dtype=torch.float64)
    core.add_to(fine, torch.tensor([1.0, -2.0], dtype=torch.float64))
    wide = torch.zeros(FINE + 20, FINE + 20, dtype=torch.float64)
    wide[row + 10 : row + 16, column + 10 : column + 16] = core.brightness
    expected = wide[10 : 10 + FINE, 10 : 10 + FINE]
    torch.testing.assert_close(fine, torch.stack([expected, -2 * expected]))


def mean_over_pixels(fine):
    return fine.view(-1, PIXELS, SAMPLES, PIXELS, SAMPLES).mean((2, 4))


@pytest.mark.parametrize(("row", "column"), [(4, 7), (-2, 5), (20, 21)])
def test_a_core_on_pixels_is_the_mean_of_its_fine_samples(row, column):
    core = Core(torch.ones(1), row, column, brightness(6, 6))
    weights = torch.tensor([1.0, 0.0, 0.5], dtype=torch.float64)
    fine, pixels = (torch.zeros(3, n, n, dtype=torch.float64) for n in (FINE, PIXELS))
    core.add_to(fine, weights)
    core.add_to_pixels(pixels, weights, SAMPLES)
    torch.testing.assert_close(pixels, mean_over_pixels(fine))
    assert not pixels[1].any()


def test_cells_on_pixels_are_the_mean_of_their_fine_samples():
    cells = Cells(torch.ones(1), torch.tensor([3, 17, 60]), brightness(3, SAMPLES, SAMPLES))
    weights = torch.tensor([1.0, 0.25], dtype=torch.float64)
    fine, pixels = (torch.zeros(2, n, n, dtype=torch.float64) for n in (FINE, PIXELS))
    cells.add_to(fine, weights)
    cells.add_to_pixels(pixels, weights, SAMPLES)
    torch.testing.assert_close(pixels, mean_over_pixels(fine))
    torch.testing.assert_close(fine[0, 6:9, 3:6], cells.brightness[1])
    assert (pixels[0].flatten() > 0).nonzero().flatten().tolist() == [3, 17, 60]


def test_points_near_a_centre_are_those_within_the_radius():
    rng = np.random.default_rng(6)
    x, y = (torch.as_tensor(rng.uniform(-3, 3, 500)) for _ in range(2))
    at_x, at_y = (torch.as_tensor(rng.uniform(-3, 3, (4, 1))) for _ in range(2))
    assert torch.equal(near((x, y), at_x, at_y, 0.7), torch.hypot(x - at_x, y - at_y) < 0.7)
    radius = torch.tensor([[0.1], [0.5], [1.0], [2.0]])
    assert torch.equal(near((x, y), at_x, at_y, radius), torch.hypot(x - at_x, y - at_y) < radius)


def part(n, r_e=0.4):
    row = dict.fromkeys(COMPONENT_COLUMNS, 0.0) | {"sersic_index": n, "r_e": r_e, "q": 0.7, "phi": 0.4, "x": 0.03}
    return {name: np.array([value]) for name, value in row.items()}


def split(parts, frame):
    """Maps of the parts on the frame's fine samples, and the cores that are taken out of them."""
    axis = (torch.arange(frame.width * frame.supersampling, dtype=torch.float64) + 0.5) * frame.fine_step
    axis -= axis.mean()
    y, x = (line.flatten() for line in torch.meshgrid(axis, axis, indexing="ij"))
    maps = profile(x[None], y[None], columns_of(parts, x))
    return maps, list(extract_cores(maps, parts, torch.ones(1, 1, dtype=torch.float64), frame, (x, y)))


FRAME = Frame(stamp=20, padding=2, supersampling=3, fine_width=24, pixel_scale=0.1)


def test_light_with_its_core_put_back_is_the_light_of_a_finer_frame():
    parts = part(4.0)
    maps, ((k, core),) = split(parts, FRAME)
    assert k == 0
    fine = maps.view(1, 72, 72).clone()
    core.add_to(fine, core.weights)
    _, finest = None, profile(*_grid(72 * 15, FRAME.fine_step / 15), columns_of(parts, maps)).view(72, 15, 72, 15)
    truth = finest.mean((1, 3))
    # the plain samples miss much of the light around the cusp
    plain = profile(*_grid(72, FRAME.fine_step), columns_of(parts, maps)).view(72, 72)
    inner = np.s_[26:48, 26:48]
    error, before = (abs(float(image[inner].sum() / truth[inner].sum()) - 1) for image in (fine[0], plain))
    assert error < 0.01
    assert error < 0.3 * before


def _grid(n, step):
    axis = (torch.arange(n, dtype=torch.float64) - (n - 1) / 2) * step
    return tuple(line.reshape(1, -1) for line in torch.meshgrid(axis, axis, indexing="xy"))


def test_profiles_without_a_cusp_have_no_core():
    whole, cores = split(part(0.5), FRAME)
    assert cores == []
    torch.testing.assert_close(whole[0], profile(*_grid(72, FRAME.fine_step), columns_of(part(0.5), whole))[0])
    assert split(part(4.0) | {"ring_width": np.array([0.2])}, FRAME)[1] == []


USUAL = Frame(stamp=48, padding=16, supersampling=3, fine_width=44, pixel_scale=0.1)


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
