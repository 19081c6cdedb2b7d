"""One process at a time for a job."""

import os
import signal
import subprocess
import sys
import time

import pytest

from lensdream.runtime.only_one import only_one

HOLDER = """
import sys, time
from pathlib import Path
from lensdream.runtime.only_one import only_one
with only_one(Path(sys.argv[1]), "train of the scale quick"):
    print("held", flush=True)
    time.sleep(100)
"""


@pytest.fixture
def lock(tmp_path):
    return tmp_path / "artifacts" / "train.lock"


@pytest.fixture
def holder(lock):
    process = subprocess.Popen([sys.executable, "-c", HOLDER, lock], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_job_at_work_is_refused_with_its_process(lock, holder):
    told = rf"train of the scale quick runs already, as process {holder.pid} since .*: wait for its end, or end it by `kill`"
    with pytest.raises(BlockingIOError, match=told), only_one(lock, "train of the scale quick"):
        raise AssertionError


def test_a_killed_process_blocks_no_other(lock, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with only_one(lock, "train"):
        pass


def test_the_same_process_may_do_it_again_and_an_error_frees_it(lock):
    with pytest.raises(KeyError), only_one(lock, "train"):
        raise KeyError
    with only_one(lock, "train"):
        assert time.time()
    assert not lock.with_suffix(".json").exists()
