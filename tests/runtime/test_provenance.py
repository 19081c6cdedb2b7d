"""Commits and digests that identify what ran."""

import os
import re
from pathlib import Path

from lensdream.runtime.provenance import dataset_identity, device, git_state


def test_without_git_the_commit_is_none(tmp_path, monkeypatch):
    assert git_state(tmp_path).commit == "none"
    monkeypatch.setenv("PATH", "")
    assert git_state(tmp_path).commit == "none"


def test_data_are_identified_by_the_best_digest_there_is(tmp_path):
    images = tmp_path / "artifacts" / "images"
    assert dataset_identity(images, tmp_path) == "missing"
    images.mkdir(parents=True)
    (images / "a.npy").write_bytes(b"abc")
    assert dataset_identity(images, tmp_path).startswith("listing:")
    (images / "manifest.json").write_text("{}")
    assert dataset_identity(images, tmp_path).startswith("sha256:44136fa355b3678a")
    assert dataset_identity(images / "a.npy", tmp_path).startswith("sha256:ba7816bf")
    lock = (
        "stages:\n  simulate@quick:\n    cmd: x\n    outs:\n    - {path: artifacts/images, hash: md5, md5: 0123.dir}\n"
    )
    (tmp_path / "dvc.lock").write_text(lock)
    # the lock may speak of an older store than the one that lies there
    assert dataset_identity(images, tmp_path).startswith("sha256:44136fa355b3678a")
    (images / "manifest.json").unlink()
    assert dataset_identity(images, tmp_path) == "dvc-unverified:0123.dir"
    assert dataset_identity(Path(os.path.relpath(images)), tmp_path) == "dvc-unverified:0123.dir"


def test_a_device_is_its_cores_and_its_processor():
    assert re.match(r"[1-9]\d* cores, \w", device())
