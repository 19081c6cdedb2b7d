"""Stores that cannot be trusted are refused."""

import json

import numpy as np
import pytest

from conftest import SMALL_IMAGES
from lensdream.dataset import write
from lensdream.dataset.check import problems
from lensdream.dataset.store import ImageStore, StoreError


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_store_that_cannot_be_trusted_is_refused(scenes, tmp_path):
    write.write_store(scenes, SMALL_IMAGES, tmp_path)
    manifest = tmp_path / "manifest.json"
    whole = manifest.read_text()
    (tmp_path / "images-00002.npy").unlink()
    with pytest.raises(
        StoreError, match=r"lacks images-00002\.npy of its manifest: remove .* and run the simulate stage"
    ):
        ImageStore.open(tmp_path)
    change(manifest, schema_version=1)
    with pytest.raises(StoreError, match="is of schema 1, this version reads 3: remove"):
        ImageStore.open(tmp_path)
    manifest.write_text(whole)
    change(manifest, stamp="wide", shard_size=0)
    with pytest.raises(StoreError, match="it has stamp = 'wide', shard_size = 0: remove"):
        ImageStore.open(tmp_path)
    manifest.write_text('{"schema_version": 3}')
    with pytest.raises(StoreError, match="it has no bands, no n, no stamp, no shard_size, no sha256: remove"):
        ImageStore.open(tmp_path)
    for text, words in (("[1, 2]", "holds a list"), ('{"n": 1', "is not JSON")):
        manifest.write_text(text)
        with pytest.raises(StoreError, match=words):
            ImageStore.open(tmp_path)
        assert words in problems(tmp_path)[0]


def test_a_shard_of_another_size_is_refused(scenes, tmp_path):
    write.write_store(scenes, SMALL_IMAGES, tmp_path)
    path = tmp_path / "images-00001.npy"
    images = np.load(path)
    np.save(path, images[:3])
    expected = (
        r"holds float16 of the shape \(3, 4, 40, 40\), by the manifest it should be float16 of \(4, 4, 40, 40\): remove"
    )
    with pytest.raises(StoreError, match=expected):
        ImageStore.open(tmp_path).images([4])
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(StoreError, match="cannot be read"):
        ImageStore.open(tmp_path).images([4])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_pixel_that_is_no_number_is_told_with_its_image_file_and_remedy(value, scenes, tmp_path):
    write.write_store(scenes, SMALL_IMAGES, tmp_path)
    path = tmp_path / "images-00001.npy"
    images = np.load(path)
    images[2, 1, 5, 5] = value
    np.save(path, images)
    store = ImageStore.open(tmp_path)
    row = int(store.manifest["shard_size"]) + 2
    family = store.truth["family"].iloc[row]
    told = rf"image {row} \({family}, split \w+\) in {path} has pixels .* 1 of the 10 images .*dataset check {tmp_path}"
    with pytest.raises(StoreError, match=told):
        store.images(np.arange(10))
    assert store.images([0, 1]).shape[0] == 2
