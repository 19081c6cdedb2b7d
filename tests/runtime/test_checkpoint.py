"""States of unfinished jobs: whole, and of the right job."""

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

    def full(state, part):
        part.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="no space"):
        checkpoint.save(path, {"identity": "a", "epoch": 2})
    assert checkpoint.load(path, "a")["epoch"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["state.pt"]
