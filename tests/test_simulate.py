"""Shards: resumed, checked, never half written."""

import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from conftest import heed_interrupts, join, random_scene
from lensdream import config
from lensdream.config import SimulateConfig
from lensdream.dataset import write
from lensdream.dataset.check import problems
from lensdream.dataset.store import ImageStore, StoreError
from lensdream.dataset.write import ShardWriter
from lensdream.instrument import DITHERS, EUCLID
from lensdream.render.batch import ARC_1, LENS_LIGHT, RENDERERS
from lensdream.render.validate import refuse_impossible
from lensdream.runtime.files import sha256_of

SETTINGS = SimulateConfig(
    stamp=40, padding=8, supersampling=1, fine_width=20, shard_size=4, chunk=2, workers=1, renderer="lensdream"
)  # fmt: skip


@pytest.fixture
def scenes():
    return join([random_scene(np.random.default_rng(k), k % 3, k) for k in range(10)])


def test_a_store_holds_what_was_rendered(scenes, tmp_path):
    size = write.write_store(scenes, SETTINGS, tmp_path)
    store = ImageStore.open(tmp_path)
    assert len(store) == 10
    assert store.images([9, 0, 5]).shape == (3, 4, 40, 40)
    assert np.isfinite(store.images(np.arange(10))).all()
    assert problems(tmp_path) == []
    assert size == sum((tmp_path / name).stat().st_size for name in store.manifest["sha256"])
    lensed = (store.truth["theta_E_1"] > 0).to_numpy()
    masks = store.masks(np.arange(10))
    assert ((masks & ARC_1).any((1, 2)) == (store.truth["arc_snr_1"] > 0)).all()
    assert not (masks[~lensed] & ARC_1).any()
    assert (masks & LENS_LIGHT).any((1, 2)).all()


def test_an_image_does_not_depend_on_shards_or_chunks(scenes, tmp_path):
    other = dataclasses.replace(SETTINGS, shard_size=3, chunk=1)
    write.write_store(scenes, SETTINGS, tmp_path / "a")
    write.write_store(scenes, other, tmp_path / "b")
    a, b = (ImageStore.open(tmp_path / name).images(np.arange(10)).astype(float) for name in "ab")
    np.testing.assert_allclose(a, b, rtol=2e-3, atol=1e-6)  # float16


def test_a_killed_run_goes_on_at_the_missing_shard(scenes, tmp_path, monkeypatch):
    write_shard, done = ShardWriter.write, []

    def killed(writer, task):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(task[0].number)
        return write_shard(writer, task)

    monkeypatch.setattr(ShardWriter, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        write.write_store(scenes, SETTINGS, tmp_path)
    with pytest.raises(StoreError, match="has not finished"):
        ImageStore.open(tmp_path)
    again = []
    monkeypatch.setattr(
        ShardWriter, "write", lambda writer, task: (again.append(task[0].number), write_shard(writer, task))[1]
    )
    write.write_store(scenes, SETTINGS, tmp_path)
    assert (done, again) == ([0, 1], [2])
    assert problems(tmp_path) == []


def test_other_scenes_start_afresh(scenes, tmp_path):
    write.write_store(scenes, SETTINGS, tmp_path)
    fewer = scenes.take(slice(0, 3))
    write.write_store(fewer, SETTINGS, tmp_path)
    assert len(ImageStore.open(tmp_path)) == 3
    assert not (tmp_path / "images-00001.npy").exists()


def test_a_full_disk_is_told_with_what_is_needed(scenes, tmp_path, monkeypatch):
    def full(path, array):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(write, "_write", full)
    with pytest.raises(OSError, match="the disk of .* is full: about .* GB are needed"):
        write.write_store(scenes, SETTINGS, tmp_path)
    assert not (tmp_path / "manifest.json").exists()


def test_a_failed_write_leaves_no_file(tmp_path, monkeypatch):
    def broken(file, array):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "save", broken)
    with pytest.raises(OSError, match="No space"):
        write._write(tmp_path / "images-00000.npy", np.zeros(3))
    assert list(tmp_path.iterdir()) == []


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_store_that_cannot_be_trusted_is_refused(scenes, tmp_path):
    write.write_store(scenes, SETTINGS, tmp_path)
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
    write.write_store(scenes, SETTINGS, tmp_path)
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


def test_check_names_every_broken_file(scenes, tmp_path):
    write.write_store(scenes, SETTINGS, tmp_path)
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


def test_a_shard_that_lacks_a_file_is_drawn_again(scenes, tmp_path):
    write.write_store(scenes, SETTINGS, tmp_path)
    before = (tmp_path / "masks-00001.npy").read_bytes()
    (tmp_path / "masks-00001.npy").unlink()
    (tmp_path / "images-00002.part").write_text("half")
    write.write_store(scenes, SETTINGS, tmp_path)
    assert (tmp_path / "masks-00001.npy").read_bytes() == before
    assert problems(tmp_path) == []


def with_values(scenes, table, place, **values):
    """A copy with one row changed, of `scenes` or `components`."""
    changed = getattr(scenes, table).copy().astype({"psf": int, "dither": int} if table == "scenes" else {})
    for column, value in values.items():
        if isinstance(value, float):
            changed[column] = changed[column].astype(float)
        changed.loc[changed.index[place], column] = value
    return dataclasses.replace(scenes, **{table: changed})


@pytest.mark.parametrize(
    ("table", "place", "values", "words"),
    [
        ("scenes", 5, {"z_lens": 0.9, "z_source_1": 0.5}, r"z_source_1 = 0.5 is not beyond z_lens = 0.9 \(scene 5\)"),
        ("scenes", 5, {"z_source_1": 2.0, "z_source_2": 2.0}, "z_source_2 = 2 is not beyond z_source_1 = 2"),
        ("scenes", 4, {"mass_q": 0.0}, r"mass_q = 0.0 is not in \(0, 1\] where theta_E_1 > 0 \(scene 4\)"),
        ("scenes", 4, {"z_lens": np.nan}, r"z_lens = nan is not in \(0, inf\) where theta_E_1 > 0 \(scene 4\)"),
        ("scenes", 5, {"z_source_2": np.nan}, r"z_source_2 = nan is not in \(0, inf\) where theta_E_2 > 0"),
        ("scenes", 4, {"theta_E_1": 0.0}, r"theta_E_1 = 0.0 is not in \(0, inf\) with light at plane 1 \(scene 4\)"),
        ("scenes", 5, {"theta_E_2": 0.0}, r"theta_E_2 = 0.0 is not in \(0, inf\) with light at plane 2 \(scene 5\)"),
        ("scenes", 0, {"background_VIS": np.nan}, r"background_VIS = nan is not in \(-inf, inf\) \(scene 0\)"),
        ("scenes", 0, {"background_H": np.inf}, r"background_H = inf is not in \(-inf, inf\)"),
        ("scenes", 0, {"psf": 0.5}, rf"psf = 0.5 is not in \[0, {len(EUCLID.point_spreads) - 1}\] in whole numbers"),
        ("scenes", 0, {"missing_bands": 1.5}, r"missing_bands = 1.5 is not in \[0, 15\] in whole numbers"),
        (
            "scenes",
            0,
            {"psf": len(EUCLID.point_spreads)},
            rf"psf = {len(EUCLID.point_spreads)} is not in \[0, {len(EUCLID.point_spreads) - 1}\]",
        ),
        ("scenes", 0, {"dither": -1}, rf"dither = -1 is not in \[0, {len(DITHERS) - 1}\]"),
        ("scenes", 0, {"sky_scale_J": 0.0}, r"sky_scale_J = 0.0 is not in \(0, inf\)"),
        ("scenes", 0, {"family": "quasar"}, "family = 'quasar' is none of artefact, companion"),
        ("scenes", 3, {"index": 2}, r"index is not unique \(scene 2\)"),
        ("components", 3, {"q": 1.2}, r"q = 1.2 is not in \(0, 1\]"),
        ("components", 3, {"r_e": 0.0}, r"r_e = 0.0 is not in \(0, inf\)"),
        ("components", 3, {"sersic_index": 0.1}, r"sersic_index = 0.1 is not in \[0.3, 10\]"),
        ("components", 3, {"arm_contrast": 0.5, "arm_pitch": 0.0}, "arm_pitch = 0 winds arms without end"),
        (
            "components",
            3,
            {"arm_contrast": 0.5, "arm_pitch": np.nan},
            r"arm_pitch = nan is not in .* where arm_contrast > 0",
        ),
        ("components", 3, {"arm_contrast": 0.5, "arm_number": 1.5}, r"arm_number = 1.5 is not in \[0, inf\) in whole"),
        ("components", 3, {"flux_H": np.nan}, r"flux_H = nan is not in \[0, inf\)"),
        ("components", 3, {"flux_VIS": -1.0}, r"flux_VIS = -1.0 is not in"),
        ("components", 3, {"role": 9}, r"role = 9 is not in \[1, 4\]"),
        ("components", 3, {"plane": 3}, r"plane = 3 is not in \[0, 2\]"),
        ("components", -1, {"scene": 77}, r"components belong to no scene of the table \(scene 77\)"),
        ("components", 0, {"scene": 5}, "not sorted by scene"),
    ],
)
def test_impossible_scenes_are_refused(scenes, table, place, values, words, tmp_path):
    with pytest.raises(ValueError, match=rf"(?s){words}.*draw it again with `lensdream population`"):
        write.write_store(with_values(scenes, table, place, **values), SETTINGS, tmp_path / "images")
    assert not (tmp_path / "images").exists()


def test_all_that_is_wrong_with_scenes_is_told_at_once(scenes):
    wrong = with_values(with_values(scenes, "components", 1, q=2.0), "scenes", 2, dither=99, family="none")
    wrong = with_values(wrong, "components", 20, q=3.0)
    with pytest.raises(ValueError, match="cannot be drawn") as error:
        refuse_impossible(wrong)
    text = str(error.value)
    assert "q = 2.0 is not in (0, 1] (scene 0 and 1 others)" in text
    assert "dither = 99" in text
    assert "family = 'none'" in text


def test_the_reference_draws_the_light_and_nothing_else(scenes, tmp_path, monkeypatch):
    drawn = []

    def flat(part, frame, cosmology):
        drawn.append(len(part))
        return torch.full((len(part), 4, frame.stamp, frame.stamp), 0.5)

    monkeypatch.setattr("lensdream.render.reference.reference_noiseless", flat)
    few = scenes.take(slice(0, 3))
    write.write_store(few, SETTINGS, tmp_path / "ours")
    write.write_store(few, dataclasses.replace(SETTINGS, renderer="lenstronomy"), tmp_path / "theirs")
    ours, theirs = (ImageStore.open(tmp_path / name) for name in ("ours", "theirs"))
    assert drawn == [2, 1]
    assert theirs.manifest["renderer"] == "lenstronomy"
    assert theirs.images([0]).astype(float).mean() == pytest.approx(0.5, abs=0.01)
    np.testing.assert_array_equal(ours.masks(np.arange(3)), theirs.masks(np.arange(3)))
    assert (tmp_path / "ours" / "recipe.txt").read_text() != (tmp_path / "theirs" / "recipe.txt").read_text()


def test_every_renderer_of_the_settings_is_there():
    (field,) = (field for field in dataclasses.fields(config.SimulateConfig) if field.name == "renderer")
    assert set(field.metadata["names"]) == set(RENDERERS)


@pytest.mark.slow
def test_ctrl_c_in_a_stage_ends_it_clearly(tmp_path, scenes):
    # many scenes of empty sky, so that the interrupt meets a running pool
    table = scenes.scenes.sample(3000, replace=True, random_state=1).assign(index=range(3000))
    dataclasses.replace(scenes, scenes=table, components=scenes.components.iloc[:0]).save(
        tmp_path / "artifacts" / "quick" / "scenes"
    )
    params = (
        "simulate:\n  quick: {}\n"
        "  shared: {stamp: 80, padding: 16, supersampling: 3, fine_width: 54, shard_size: 50, chunk: 2, workers: 2,\n"
        "    renderer: lensdream}\n"
    )
    (tmp_path / "params.yaml").write_text(params)
    process = subprocess.Popen(
        [sys.executable, "-m", "lensdream.cli", "simulate", "--scale", "quick"],
        cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=heed_interrupts,
    )  # fmt: skip
    images = tmp_path / "artifacts" / "quick" / "images"
    deadline = time.monotonic() + 120
    while not (images / "measured-00000.parquet").exists():
        assert time.monotonic() < deadline
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted: what was whole is kept" in errors
    assert "Traceback" not in errors
    assert not (images / "manifest.json").exists()
    assert not list(images.glob("*.part"))
