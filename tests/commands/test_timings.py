"""Durations of stages are kept beside the metrics, an entry a stage."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from mlflow import MlflowClient

from conftest import ROOT
from lensdream import tracking
from lensdream.commands.paths import Paths
from lensdream.commands.timings import Clock, timed_run, timings_of, write_timing
from lensdream.runtime.provenance import GitState, device

CLEAN = GitState("c0ffee", dirty=False)


def results(root, run_id):
    uri = tracking.tracking_uri(root)
    return MlflowClient(uri, uri).get_run(run_id).data.metrics


def test_a_stage_that_succeeds_leaves_its_time_and_its_speed_here_and_in_mlflow(tmp_path):
    clock = Clock(started=Clock().started - 100)
    with timed_run("simulate", "tiny", None, root=tmp_path, clock=clock) as run:
        clock.images_per_second = 12.34
    entry = timings_of("tiny", tmp_path)["simulate"]
    assert set(entry) == {"seconds", "images_per_second", "finished", "commit", "device"}
    assert 100 <= entry["seconds"] < 160
    assert entry["images_per_second"] == 12.3
    assert entry["commit"] == "none"  # the folder is no repository
    assert entry["device"] == device()
    assert timedelta(0) <= datetime.now(UTC) - datetime.fromisoformat(entry["finished"]) < timedelta(minutes=1)
    logged = results(tmp_path, run.run_id)
    assert logged["images_per_second"] == 12.3
    assert 100 <= logged["seconds"] <= entry["seconds"]


def test_a_stage_without_images_has_no_speed(tmp_path):
    with timed_run("report", "tiny", None, root=tmp_path, prefix="run_") as run:
        pass
    assert "images_per_second" not in timings_of("tiny", tmp_path)["report"]
    assert set(results(tmp_path, run.run_id)) == {"run_seconds"}


def test_a_stage_that_fails_leaves_the_time_of_the_run_before(tmp_path):
    write_timing(Paths("tiny", tmp_path), "train", Clock(earlier=7), CLEAN)
    before = timings_of("tiny", tmp_path)
    with pytest.raises(ValueError, match="x"), timed_run("train", "tiny", None, root=tmp_path):
        raise ValueError("x")
    assert timings_of("tiny", tmp_path) == before
    assert before["train"]["seconds"] >= 7


def test_stages_that_end_at_the_same_time_do_not_erase_one_another(tmp_path):
    stages = [f"train-{k}" for k in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda stage: write_timing(Paths("tiny", tmp_path), stage, Clock(), CLEAN), stages))
    assert set(timings_of("tiny", tmp_path)) == set(stages)


@pytest.mark.parametrize("content", ["", '{"train": {"sec', "[1]", '{"train": 3}', b"\xff\xfe\x00"])
def test_a_damaged_file_begins_anew(content, tmp_path):
    path = Paths("tiny", tmp_path).timings
    path.parent.mkdir(parents=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert timings_of("tiny", tmp_path) == {}
    write_timing(Paths("tiny", tmp_path), "train", Clock(), CLEAN)
    assert list(json.loads(path.read_text())) == ["train"]


def test_scales_have_files_of_their_own_and_one_that_never_ran_has_no_times(tmp_path):
    write_timing(Paths("tiny", tmp_path), "train", Clock(), GitState("c0ffee", dirty=True))
    assert timings_of("tiny", tmp_path)["train"]["commit"] == "c0ffee-dirty"
    assert timings_of("small", tmp_path) == {}


def test_the_speed_is_of_the_images_counted():
    clock = Clock()
    with clock.counting(1000):
        pass
    assert clock.images_per_second > 1000  # in less than a second


def test_git_does_not_track_the_times():
    ignored = subprocess.run(["git", "check-ignore", "-q", Paths("quick").timings], cwd=ROOT, check=False)
    assert ignored.returncode == 0
