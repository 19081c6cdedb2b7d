"""Light around cusps, put back where it was taken out."""

import numpy as np
import pytest
import torch

from lensdream.optics.sampling import Frame
from lensdream.render.cores import Cells, Core, extract_cores, near
from lensdream.render.profiles import columns_of, profile
from lensdream.scene import COMPONENT_COLUMNS

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
