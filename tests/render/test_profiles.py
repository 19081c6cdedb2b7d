"""Profiles of components from the columns of a table, against astropy."""

import numpy as np
import pytest
import torch
from astropy.modeling.models import Sersic2D

from lensdream.render.profiles import SERSIC_COLUMNS, SHAPE_COLUMNS, columns_of, profile, rows_of, select
from lensdream.scene import COMPONENT_COLUMNS

AXIS = torch.linspace(-2, 2, 41, dtype=torch.float64)
Y, X = (axis.reshape(1, -1) for axis in torch.meshgrid(AXIS, AXIS, indexing="ij"))


@pytest.fixture
def parts():
    """Three components; the second a ring, the third with a dust lane."""
    columns = dict.fromkeys(COMPONENT_COLUMNS, np.zeros(3)) | {
        "x": np.array([0.3, 0.0, -0.2]), "y": np.array([-0.4, 0.1, 0.0]), "r_e": np.array([0.6, 0.8, 0.9]),
        "sersic_index": np.array([2.5, 1.0, 1.0]), "q": np.array([0.5, 0.9, 0.3]), "phi": np.array([0.7, 0.0, 1.0]),
        "ring_width": np.array([0.0, 0.2, 0.0]), "dust_width": np.array([0.0, 0.0, 0.05]),
    }  # fmt: skip
    return columns


def drawn(parts, rows):
    value = columns_of(rows_of(parts, np.array(rows)), X)
    return profile(X, Y, value)


def test_a_plain_component_is_astropys_sersic_profile(parts):
    ours = drawn(parts, [0]).numpy()[0]
    # astropy's radius is the semi-major axis, ours that of the circle of equal area
    theirs = Sersic2D(1.0, 0.6 / np.sqrt(0.5), 2.5, 0.3, -0.4, ellip=0.5, theta=0.7)(X.numpy()[0], Y.numpy()[0])
    far = np.hypot(X.numpy()[0] - 0.3, Y.numpy()[0] + 0.4) > 0.1
    # b_n here is Capaccioli's approximation
    np.testing.assert_allclose(ours[far], theirs[far], rtol=5e-3)


def test_components_drawn_together_are_those_drawn_alone(parts):
    together = drawn(parts, [0, 1, 2])
    for k in range(3):
        torch.testing.assert_close(together[k], drawn(parts, [k])[0])


def test_a_ring_is_dark_in_its_middle_and_a_dust_lane_takes_light(parts):
    near = {k: ((X[0] - float(parts["x"][k])) ** 2 + (Y[0] - float(parts["y"][k])) ** 2).argmin() for k in (1, 2)}
    ring, dusty = drawn(parts, [1])[0], drawn(parts, [2])[0]
    assert ring[near[1]] < 0.05 * ring.max()
    clean = drawn(parts | {"dust_width": np.zeros(3)}, [2])[0]
    assert dusty[near[2]] < 0.7 * clean[near[2]]
    assert (dusty <= clean * (1 + 1e-12)).all()


def test_shapes_that_no_component_has_are_left_out(parts):
    assert tuple(columns_of(rows_of(parts, np.array([0])), X)) == SERSIC_COLUMNS
    assert tuple(columns_of(parts, X)) == (*SERSIC_COLUMNS, "ring_width", "dust_width")
    assert set(SHAPE_COLUMNS) == {"ring_width", "arm_contrast", "dust_width"}
    assert columns_of(parts, X.float())["x"].dtype == torch.float32


def test_columns_are_taken_as_often_as_asked(parts):
    value = select(columns_of(parts, X), torch.tensor([2, 0, 2]))
    assert value["r_e"][:, 0].tolist() == [0.9, 0.6, 0.9]
