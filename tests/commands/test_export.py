"""`lensdream dataset export`: what it writes is what the store holds."""

import numpy as np
import pandas as pd
import pytest

from conftest import write_images
from lensdream.commands import export
from lensdream.cutouts.reader import read_cutout
from lensdream.dataset.store import StoreError

SIDE = 32


@pytest.fixture
def images(tmp_path):
    """Images of the store `store`: a star between two lenses."""
    images = np.random.default_rng(5).normal(size=(3, 4, SIDE, SIDE)).astype(np.float16)
    truth = pd.DataFrame({"index": [4, 5, 6], "family": ["lens", "star", "lens"], "label": [1, 0, 1], "split": "test"})
    write_images(tmp_path / "store", truth, images)
    return images


def test_the_files_of_a_family_read_back_as_its_images(images, tmp_path):
    export.run(str(tmp_path / "store"), "fits", "lens", 2, str(tmp_path / "out"))
    files = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in files] == ["lens-0000004.fits", "lens-0000006.fits"]
    for path, expected in zip(files, images[[0, 2]], strict=True):
        np.testing.assert_allclose(read_cutout(path, SIDE).image, expected.astype(float), rtol=1e-5, atol=1e-7)


def test_more_images_than_there_are_are_refused_with_both_numbers(images, tmp_path):
    with pytest.raises(StoreError, match="'lens' of .* has 2 images, 3 were asked for: ask for fewer"):
        export.run(str(tmp_path / "store"), "fits", "lens", 3, str(tmp_path / "out"))
    with pytest.raises(StoreError, match=r"no family 'ring' in .*; there are lens \(2\), star \(1\)"):
        export.run(str(tmp_path / "store"), "fits", "ring", 1, str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
