"""Fixtures of the tests of cutout files."""

import pytest

from cutout_files import noise
from lensdream.cutouts.export import write_cutout


@pytest.fixture
def euclid(tmp_path):
    """A file in Euclid's layout and the image in it."""
    image = noise()
    write_cutout(tmp_path / "euclid.fits", image, "a galaxy", centre=(150.0, 2.0))
    return tmp_path / "euclid.fits", image
