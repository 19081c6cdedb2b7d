"""States of unfinished jobs: whole, and of the right job."""

import errno
import os
import pickle
from pathlib import Path

import pytest
import torch

from lensdream.runtime import checkpoint


def test_a_state_is_read_back_by_its_own_job_alone(tmp_path):
    path = tmp_path / "folder" / "state.pt"
    weights = torch.arange(5.0)
    checkpoint.save(path, {"identity": "a", "epoch": 3, "weights": weights})
    found = checkpoint.load(path, "a")
    assert found["epoch"] == 3
    assert torch.equal(found["weights"], weights)
    assert checkpoint.load(path, "b") is None
    assert [file.name for file in path.parent.iterdir()] == ["state.pt"]


def test_without_a_file_there_is_no_state(tmp_path):
    assert checkpoint.load(None, "a") is None
    assert checkpoint.load(tmp_path / "nothing.pt", "a") is None


def test_the_state_before_stays_whole_when_writing_fails(tmp_path, monkeypatch):
    path = tmp_path / "state.pt"
    checkpoint.save(path, {"identity": "a", "epoch": 1})

    def full(part, content):
        with part.open("wb") as file:
            file.write(content[:4])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=f"the disk is full.*{path} was not written"):
        checkpoint.save(path, {"identity": "a", "epoch": 2})
    assert checkpoint.load(path, "a")["epoch"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["state.pt"]


class Attack:
    """An object whose unpickling makes a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def damaged_files(folder):
    """Contents of damaged and foreign checkpoints by their kind."""
    path = folder / "whole"
    checkpoint.save(path, {"identity": "a", "weights": torch.arange(1000.0)})
    whole = path.read_bytes()
    torch.save({"identity": "a", "weights": Attack(folder / "attacked")}, path)
    archive = path.read_bytes()
    torch.save(torch.arange(3.0), path)
    without_identity = path.read_bytes()
    path.unlink()
    return {
        "empty": b"",
        "truncated": whole[: len(whole) // 2],
        "without its end": whole[:-1],
        "headless": whole[100:],
        "random bytes": bytes((k * 197 + 31) % 256 for k in range(5000)),
        "zeros": bytes(5000),
        "a pickle": pickle.dumps(Attack(folder / "attacked")),
        "a pickle in an archive": archive,
        "a tensor": without_identity,
    }


KINDS = (
    "empty", "truncated", "without its end", "headless", "random bytes", "zeros", "a pickle", "a pickle in an archive",
    "a tensor",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_named_in_one_line_and_ignored_and_nothing_in_it_runs(tmp_path, kind, capfd):
    path = tmp_path / "train.pt"
    path.write_bytes(damaged_files(tmp_path)[kind])
    assert checkpoint.load(path, "a") is None
    told = capfd.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"warning: {path} is damaged or no checkpoint (")
    assert told.err.count("\n") == 1
    assert not (tmp_path / "attacked").exists()
    checkpoint.save(path, {"identity": "a", "epoch": 4})
    assert checkpoint.load(path, "a")["epoch"] == 4


def test_a_file_that_may_not_be_read_is_an_error_and_stays(tmp_path, monkeypatch):
    path = tmp_path / "train.pt"
    checkpoint.save(path, {"identity": "a"})

    def forbidden(*arguments, **more):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(torch, "load", forbidden)
    with pytest.raises(PermissionError):
        checkpoint.load(path, "a")
    assert path.is_file()
