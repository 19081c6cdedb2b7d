"""`lensdream dataset check` on a sound store and on broken ones."""

import numpy as np
import pandas as pd
import pytest

from conftest import write_images
from lensdream.commands import check


@pytest.fixture
def store(tmp_path):
    truth = pd.DataFrame({"index": [0, 1], "family": ["lens", "star"], "label": [1, 0], "split": "test"})
    write_images(tmp_path / "store", truth, np.ones((2, 4, 8, 8)), np.zeros((2, 8, 8), np.uint8))
    return tmp_path / "store"


def test_a_sound_store_is_counted_and_ends_with_zero(store, capsys):
    assert check.run(str(store)) == 0
    assert capsys.readouterr().out == "2 images in 3 files, all as the manifest says\n"


def test_every_broken_file_is_named_and_ends_with_one(store, capsys):
    (store / "masks-00000.npy").unlink()
    (store / "stray.npy").touch()
    np.save(store / "images-00000.npy", np.zeros((2, 4, 8, 8), np.float16))
    assert check.run(str(store)) == 1
    told = capsys.readouterr()
    assert not told.out
    assert "masks-00000.npy is missing" in told.err
    assert "images-00000.npy differs from its digest" in told.err
    assert "stray.npy is no part of this store: remove it" in told.err
    assert all(line.startswith("lensdream: ") for line in told.err.splitlines())
