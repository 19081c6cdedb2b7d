"""Training on several processes, as torchrun starts them."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from conftest import TESTS, TRAINING_FIT, blobs, write_training_store
from lensdream.runtime.distributed import ALONE, Ranks
from lensdream.train.loop import fit

TOGETHER = """
import sys
import torch
sys.path[:0] = {tests!r}
import dataclasses
from pathlib import Path
from test_distributed import PLAIN, linear
from conftest import blobs
from lensdream.runtime.distributed import started_ranks
from lensdream.train.loop import fit

torch.set_num_threads(1)
with started_ranks() as ranks:
    written = []
    result = fit(
        linear, PLAIN, blobs(96, 1), blobs(32, 2), checkpoint=Path({folder!r}) / "training.pt", ranks=ranks,
        on_epoch=lambda *_: written.append(1),
    )
    state = {{"model": result.model.state_dict(), "calls": len(written), "best": result.best_epoch,
             "records": [dataclasses.asdict(r) for r in result.records]}}
    torch.save(state, Path({folder!r}) / f"rank-{{ranks.rank}}.pt")
"""


PLAIN = dataclasses.replace(TRAINING_FIT, band_dropout=0.0, gain_scatter=0.0, dihedral=False, shift_pixels=0)


def linear():
    """A network that takes every image by itself, so that the parts of a batch add up to the batch."""
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4 * 32 * 32, 1), torch.nn.Flatten(0))


def torchrun(*arguments, cwd):
    """Two processes of this machine."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_two_processes_learn_as_one_does_and_agree(tmp_path):
    script = tmp_path / "together.py"
    script.write_text(TOGETHER.format(tests=[str(Path(__file__).parent), str(TESTS)], folder=str(tmp_path)))
    torchrun(str(script), cwd=tmp_path)
    alone = fit(linear, PLAIN, blobs(96, 1), blobs(32, 2))
    first, second = (torch.load(tmp_path / f"rank-{rank}.pt") for rank in (0, 1))
    assert (first["best"], first["calls"]) == (second["best"], PLAIN.epochs)
    assert second["calls"] == 0  # only the first tracks and writes
    for name, tensor in alone.model.state_dict().items():
        assert torch.equal(first["model"][name], second["model"][name]), name
        assert torch.allclose(first["model"][name], tensor, rtol=1e-3, atol=1e-5), name
    losses = [[record["augmented_train_loss"] for record in rank["records"]] for rank in (first, second)]
    assert losses[0] == pytest.approx(losses[1])
    assert losses[0] == pytest.approx([record.augmented_train_loss for record in alone.records], rel=1e-4)
    assert losses[0][-1] < 0.95 * losses[0][0]
    for name in ("train_loss", "train_accuracy", "validation_accuracy"):  # the first measures for all
        both = [[record[name] for record in rank["records"]] for rank in (first, second)]
        assert both[0] == both[1]
        assert both[0] == pytest.approx([getattr(record, name) for record in alone.records], rel=1e-3)


@pytest.mark.slow
def test_the_train_command_runs_under_torchrun(tmp_path):
    write_training_store(tmp_path)
    settings = {k: v for k, v in dataclasses.asdict(TRAINING_FIT).items() if k != "epochs"}
    document = {
        "lensnet": {"fit": settings, "network": {"width": 8}},
        "scales": {"quick": {"lensnet": {"fit": {"epochs": 2}}}},
    }
    (tmp_path / "params.yaml").write_text(json.dumps(document))
    (tmp_path / "artifacts" / "tiny").rename(tmp_path / "artifacts" / "quick")
    command = Path(sys.executable).with_name("lensdream")
    out = torchrun("--no-python", str(command), "train", "--scale", "quick", cwd=tmp_path)
    assert out.count("epoch   1") == 1
    measured = json.loads((tmp_path / "metrics" / "quick" / "train.json").read_text())
    assert measured["epochs"] == 2
    assert (tmp_path / "models" / "quick" / "model.safetensors").is_file()


def test_the_parts_of_a_batch_are_the_batch():
    batch = torch.arange(11)
    parts = [Ranks(rank, 3, rank).part(batch) for rank in range(3)]
    assert sorted(torch.cat(parts).tolist()) == batch.tolist()
    assert ALONE.part(batch).tolist() == batch.tolist()


def test_one_process_needs_no_others():
    model = torch.nn.Linear(2, 1)
    assert ALONE.together(model) is model
    assert ALONE.of_first((0.5, 0.9)) == (0.5, 0.9)
    assert ALONE.mean(torch.tensor(3.0)) == 3
