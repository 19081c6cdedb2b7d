"""Figures as files: charts to the bit, pictures of many images close enough."""

import io

import numpy as np
import pytest
from PIL import Image

from conftest import random_scene
from lensdream.plots import contact_sheet
from lensdream.plots.contact_sheet import Row
from lensdream.plots.encoded import jpeg, png
from lensdream.render.renderer import Renderer


@pytest.fixture(scope="module")
def figure():
    """A sheet of simulated images, two rows of four."""
    renderer, rng = Renderer(), np.random.default_rng(3)
    images = np.concatenate([renderer.render(random_scene(rng, k % 3)).images.numpy() for k in range(8)])
    return contact_sheet.draw([Row("one", "note", images[:4]), Row("two", "note", images[4:])])


def pixels(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), float)


def test_a_picture_of_many_images_is_much_smaller_and_looks_the_same(figure):
    whole, small = png(figure), jpeg(figure)
    assert len(small) < 0.4 * len(whole)
    difference = pixels(small) - pixels(whole)
    assert np.sqrt((difference**2).mean()) < 6  # of 255, most of it at letters and edges
    assert abs(difference.mean()) < 0.5


def test_the_resolution_is_the_figures_own_or_the_one_asked_for(figure):
    height, width, channels = pixels(png(figure)).shape
    assert channels == 3
    assert pixels(jpeg(figure)).shape == (height, width, 3)
    assert pixels(png(figure, contact_sheet.DPI / 2)).shape == pytest.approx((height / 2, width / 2, 3), abs=1)
