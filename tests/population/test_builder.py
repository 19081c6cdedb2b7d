"""Scenes while they are put together: components with names, and the columns that they become."""

import numpy as np
import pytest

from lensdream.instrument import Band
from lensdream.population.builder import Component, SceneBuilder, empty_scene, redden, to_table
from lensdream.scene import COMPONENT_COLUMNS, FLUX_COLUMNS, PLAIN, Role, Shape

FLUX = (1.0, 2.0, 3.0, 4.0)


RINGED = Shape(ring_width=0.2, arm_contrast=1.5, arm_number=2.0, arm_pitch=0.3, arm_phase=0.4, dust_width=0.0)


def made(**changes):
    """A component, every field with a value of its own."""
    fields = {
        "role": Role.SOURCE_1, "plane": 1, "x": 0.1, "y": -0.2, "r_e": 0.5, "sersic_index": 2.5, "q": 0.6, "phi": 1.1,
        "flux": FLUX, "shape": RINGED,
    }  # fmt: skip
    return Component(**(fields | changes))


def builders(*lists):
    rng = np.random.default_rng(1)
    return [SceneBuilder(empty_scene("field", 0, "test", rng).row, list(components)) for components in lists]


def test_a_component_becomes_the_row_of_its_fields_names():
    (row,) = to_table(builders([made()])).components.to_dict("records")
    assert tuple(row) == COMPONENT_COLUMNS
    assert row == {"scene": 0} | dict(zip(FLUX_COLUMNS, FLUX, strict=True)) | RINGED._asdict() | {
        name: value for name, value in made()._asdict().items() if name not in ("flux", "shape")
    }


def test_a_component_with_another_place_keeps_the_rest():
    moved = made()._replace(x=3.0)
    assert moved != made()
    assert moved == made(x=3.0)


def test_a_draft_adds_components_in_order_and_copies_their_flux():
    (builder,) = builders([])
    flux = np.array(FLUX)
    builder.add(Role.TARGET, 0, 0.0, 0.0, 0.4, 4.0, 0.8, 0.0, flux)
    builder.add(Role.NEIGHBOUR, 0, 1.0, 0.0, 0.4, 1.0, 0.8, 0.0, flux, RINGED)
    flux[Band.VIS] = 99.0
    assert [part.role for part in builder.components] == [Role.TARGET, Role.NEIGHBOUR]
    assert [part.shape for part in builder.components] == [PLAIN, RINGED]
    assert [part.flux for part in builder.components] == [FLUX, FLUX]


@pytest.mark.parametrize("first_index", [0, 7])
def test_components_are_sorted_by_scene_and_numbered_from_the_first(first_index):
    parts = to_table(builders([made()], [], [made(x=1.0), made(x=2.0)]), first_index).components
    assert parts["scene"].tolist() == [first_index, first_index + 2, first_index + 2]
    assert parts["x"].tolist() == [0.1, 1.0, 2.0]


def test_reddening_keeps_the_light():
    flux = np.array([1.0, 2.0, 3.0, 4.0])
    bulge, disc = redden(flux, 0.3, 0.5)
    assert bulge + disc == pytest.approx(flux)
    assert bulge[0] == pytest.approx(0.3)
    assert bulge[3] / bulge[0] > flux[3] / flux[0]


def test_an_empty_scene_has_no_components(catalogs):
    scenes = to_table([empty_scene("empty", 0, "test", np.random.default_rng(1))])
    assert len(scenes) == 1
    assert scenes.components.empty
