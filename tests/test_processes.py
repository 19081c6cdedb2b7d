"""Worker processes and the ends that they come to."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lensdream.processes import worker_map

PARENT = """
import os, sys
sys.path.insert(0, {folder!r})
from lensdream.processes import worker_map
from test_processes import be_told, pid_after
if __name__ == "__main__":
    with worker_map(2, be_told, ("told",)) as ordered:
        for pid in ordered(pid_after, [0, 0, 600, 600]):
            print(pid, flush=True)
"""
_told = []


def be_told(word):
    _told.append(word)


def word_and(number):
    return *_told, number


def pid_after(seconds):
    time.sleep(seconds)
    return os.getpid()


@pytest.mark.parametrize("processes", [0, 2])
def test_results_come_in_the_order_of_the_tasks_from_workers_that_were_set_up(processes, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "_told", [])
    with worker_map(processes, be_told, ("told",)) as ordered:
        assert list(ordered(word_and, range(5))) == [("told", number) for number in range(5)]


def test_workers_end_when_their_parent_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT.format(folder=str(Path(__file__).parent)))
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        workers = {int(parent.stdout.readline()) for _ in range(2)}
        assert all(map(is_alive, workers))
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    for _ in range(100):
        if not any(map(is_alive, workers)):
            return
        time.sleep(0.1)
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    pytest.fail("a worker lives on")


def is_alive(pid):
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
