"""Shards: resumed, checked, never half written."""

import dataclasses
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from conftest import SMALL_IMAGES, heed_interrupts
from lensdream.dataset import write
from lensdream.dataset.check import problems
from lensdream.dataset.store import ImageStore, StoreError
from lensdream.dataset.write import ShardWriter
from lensdream.render.batch import ARC_1, LENS_LIGHT


def test_a_store_holds_what_was_rendered(scenes, tmp_path):
    size = write.write_store(scenes, SMALL_IMAGES, tmp_path)
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
    other = dataclasses.replace(SMALL_IMAGES, shard_size=3, chunk=1)
    write.write_store(scenes, SMALL_IMAGES, tmp_path / "a")
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
        write.write_store(scenes, SMALL_IMAGES, tmp_path)
    with pytest.raises(StoreError, match="has not finished"):
        ImageStore.open(tmp_path)
    again = []
    monkeypatch.setattr(
        ShardWriter, "write", lambda writer, task: (again.append(task[0].number), write_shard(writer, task))[1]
    )
    write.write_store(scenes, SMALL_IMAGES, tmp_path)
    assert (done, again) == ([0, 1], [2])
    assert problems(tmp_path) == []


def test_other_scenes_start_afresh(scenes, tmp_path):
    write.write_store(scenes, SMALL_IMAGES, tmp_path)
    fewer = scenes.take(slice(0, 3))
    write.write_store(fewer, SMALL_IMAGES, tmp_path)
    assert len(ImageStore.open(tmp_path)) == 3
    assert not (tmp_path / "images-00001.npy").exists()


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), OSError("9 requested and 5 written")]
)
def test_a_full_disk_is_told_with_what_is_needed(error, scenes, tmp_path, monkeypatch):
    """By the system, and by numpy, which gives no number."""

    def full(path, array):
        raise error

    monkeypatch.setattr(write, "_write", full)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=4096))
    with pytest.raises(OSError, match="the disk of .* is full: about .* GB are needed"):
        write.write_store(scenes, SMALL_IMAGES, tmp_path)
    assert not (tmp_path / "manifest.json").exists()


def test_a_failed_write_leaves_no_file(tmp_path, monkeypatch):
    def broken(file, array):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "save", broken)
    with pytest.raises(OSError, match="the disk is full"):
        write._write(tmp_path / "images-00000.npy", np.zeros(3))
    assert list(tmp_path.iterdir()) == []


def test_a_shard_that_lacks_a_file_is_drawn_again(scenes, tmp_path):
    write.write_store(scenes, SMALL_IMAGES, tmp_path)
    before = (tmp_path / "masks-00001.npy").read_bytes()
    (tmp_path / "masks-00001.npy").unlink()
    (tmp_path / "images-00002.part").write_text("half")
    write.write_store(scenes, SMALL_IMAGES, tmp_path)
    assert (tmp_path / "masks-00001.npy").read_bytes() == before
    assert problems(tmp_path) == []


def drawn_by(monkeypatch):
    """Numbers of the shards that are drawn from now on."""
    write_shard, drawn = ShardWriter.write, []
    monkeypatch.setattr(
        ShardWriter, "write", lambda writer, task: (drawn.append(task[0].number), write_shard(writer, task))[1]
    )
    return drawn


def interrupted(scenes, folder, monkeypatch, after=2):
    """A store whose drawing was interrupted after so many shards."""
    write_shard, done = ShardWriter.write, []

    def killed(writer, task):
        if len(done) == after:
            raise KeyboardInterrupt
        done.append(1)
        return write_shard(writer, task)

    with monkeypatch.context() as patched:
        patched.setattr(ShardWriter, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            write.write_store(scenes, SMALL_IMAGES, folder)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "lost"])
@pytest.mark.parametrize("name", ["images-00001.npy", "masks-00001.npy", "measured-00001.parquet"])
def test_a_kept_shard_that_is_not_as_it_was_written_is_drawn_again_and_told(
    name, damage, scenes, tmp_path, monkeypatch, capsys
):
    whole, folder = tmp_path / "whole", tmp_path / "images"
    write.write_store(scenes, SMALL_IMAGES, whole)
    interrupted(scenes, folder, monkeypatch)
    content = (folder / name).read_bytes()
    changed = {"truncated": content[:-7], "flipped": content[:-7] + bytes([content[-7] ^ 1]) + content[-6:]}
    (folder / name).unlink()
    if damage in changed:
        (folder / name).write_bytes(changed[damage])
    drawn = drawn_by(monkeypatch)
    write.write_store(scenes, SMALL_IMAGES, folder)
    assert drawn == [1, 2]
    assert f"{folder / name} is not as it was written: its shard is drawn again" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in whole.iterdir()
    }


def test_what_determines_the_images_lies_beside_the_store(scenes, tmp_path):
    folder = tmp_path / "images"
    write.write_store(scenes, SMALL_IMAGES, folder)
    found = json.loads(write.record_of(folder).read_text())
    assert write.record_of(folder).parent == tmp_path
    assert set(found["drawing"]) == {"scenes", "settings", "code"}
    assert {"render.renderer", "optics.sersic", "instrument"} <= set(found["drawing"]["code"])
    manifest = json.loads((folder / "manifest.json").read_text())
    assert not {"recipe", "code"} & set(manifest)
    assert found["sha256"] == {name: digest for name, digest in manifest["sha256"].items() if name != "truth.parquet"}


@pytest.mark.parametrize("content", ["", "[]", '{"drawing": 5}', "{"])
def test_a_damaged_record_keeps_nothing(content, scenes, tmp_path, monkeypatch):
    folder = tmp_path / "images"
    write.write_store(scenes, SMALL_IMAGES, folder)
    write.record_of(folder).write_text(content)
    drawn = drawn_by(monkeypatch)
    write.write_store(scenes, SMALL_IMAGES, folder)
    assert drawn == [0, 1, 2]


def test_other_code_draws_all_again(scenes, tmp_path, monkeypatch):
    folder = tmp_path / "images"
    write.write_store(scenes, SMALL_IMAGES, folder)
    monkeypatch.setattr(write, "digests", lambda roots, without: {"render.renderer": "another"})
    drawn = drawn_by(monkeypatch)
    write.write_store(scenes, SMALL_IMAGES, folder)
    assert drawn == [0, 1, 2]


def test_a_finished_store_of_the_same_drawing_is_linked_and_another_is_not(scenes, tmp_path, monkeypatch, capsys):
    there, here = tmp_path / "there" / "images", tmp_path / "here" / "images"
    there.parent.mkdir()
    here.parent.mkdir()
    write.write_store(scenes, SMALL_IMAGES, there)
    drawn = drawn_by(monkeypatch)
    write.write_store(scenes, SMALL_IMAGES, here, there)
    assert drawn == []
    assert f"linked from {there}" in capsys.readouterr().out
    assert (here / "images-00000.npy").samefile(there / "images-00000.npy")
    assert {path.name: path.read_bytes() for path in here.iterdir()} == {
        path.name: path.read_bytes() for path in there.iterdir()
    }
    before = (there / "images-00000.npy").read_bytes()
    write.write_store(scenes.take(slice(2, 10)), SMALL_IMAGES, here, there)
    assert drawn == [0, 1]
    assert (there / "images-00000.npy").read_bytes() == before  # replaced here, and not written through the link
    assert problems(there) == problems(here) == []


@pytest.mark.slow
def test_ctrl_c_in_a_stage_ends_it_clearly(tmp_path, scenes):
    # many scenes of empty sky, so that the interrupt meets a running pool
    table = scenes.scenes.sample(3000, replace=True, random_state=1).assign(index=range(3000))
    dataclasses.replace(scenes, scenes=table, components=scenes.components.iloc[:0]).save(
        tmp_path / "artifacts" / "quick" / "scenes"
    )
    params = (
        "simulate: {stamp: 80, padding: 16, supersampling: 3, fine_width: 54, shard_size: 50, chunk: 2, workers: 2,\n"
        "    renderer: lensdream}\nscales: {quick: {}}\n"
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
