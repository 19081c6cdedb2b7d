"""Stores against their manifests."""

import json

import numpy as np

from conftest import SMALL_IMAGES
from lensdream.dataset import write
from lensdream.dataset.check import problems
from lensdream.runtime.files import sha256_of


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_check_names_every_broken_file(scenes, tmp_path):
    write.write_store(scenes, SMALL_IMAGES, tmp_path)
    manifest = tmp_path / "manifest.json"
    digests = json.loads(manifest.read_text())["sha256"]
    with (tmp_path / "masks-00001.npy").open("r+b") as file:
        file.seek(200)
        file.write(b"\x7f\x7f")
    (tmp_path / "measured-00000.parquet").unlink()
    (tmp_path / "notes.txt").write_text("mine")
    images = np.load(tmp_path / "images-00002.npy")
    images[0, 1, 2, 3], images[1, 0, 0, 0] = np.nan, np.inf
    np.save(tmp_path / "images-00002.npy", images)
    digests["images-00002.npy"] = sha256_of(tmp_path / "images-00002.npy")
    np.save(tmp_path / "images-00000.npy", np.zeros(3))
    digests["images-00000.npy"] = sha256_of(tmp_path / "images-00000.npy")
    del digests["masks-00002.npy"]
    change(manifest, sha256=digests)
    found = problems(tmp_path)
    expected = {
        "measured-00000.parquet": "is missing",
        "masks-00001.npy": "differs from its digest",
        "masks-00002.npy": "is not in the manifest",
        "notes.txt": "is no part of this store: remove it",
        "images-00000.npy": "holds float64",
        "images-00002.npy": "has 2 values that are NaN or infinite",
    }
    for name, words in expected.items():
        assert any(name in problem and words in problem for problem in found), name
    assert len(found) == len(expected) + 1  # masks-00002.npy is also one of the files that no manifest lists
    assert all("remove" in problem for problem in found)
    change(manifest, n=9)
    assert any("has 10 rows, by the manifest there are 9 images" in problem for problem in problems(tmp_path))
