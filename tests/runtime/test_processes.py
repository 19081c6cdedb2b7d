"""Worker processes and the ends that they come to."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from lensdream.runtime.processes import WorkerDied, worker_map

PARENT = """
import os, sys
sys.path.insert(0, {folder!r})
from lensdream.runtime.processes import worker_map
from test_processes import Told, pid_after
if __name__ == "__main__":
    with worker_map(2, Told, ("told",)) as ordered:
        for pid in ordered(pid_after, [0, 0, 600, 600]):
            print(pid, flush=True)
"""


@dataclass
class Told:
    """What a process was told, and the numbers that its tasks had."""

    word: str
    numbers: list[int] = field(default_factory=list)

    def and_numbers(self, number):
        self.numbers.append(number)
        return self.word, *self.numbers


def word_and(told, number):
    return told.word, number


def pid_after(told, seconds):
    time.sleep(seconds)
    return os.getpid()


def killed_at(told, number, fatal):
    time.sleep(0.1)
    if number == fatal:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


class Unsendable(Exception):
    def __init__(self, what, more):
        super().__init__(f"{what} and {more}")


def wrong_with_an_error_that_cannot_be_pickled(told, number):
    raise Unsendable(number, "more")


def leaves(told, number):
    os._exit(3)


def wrong_at(told, number, fatal):
    if number == fatal:
        raise ValueError(f"no {number}")
    return number


@pytest.mark.parametrize("processes", [0, 2])
def test_results_come_in_the_order_of_the_tasks_from_workers_that_were_set_up(processes):
    with worker_map(processes, Told, ("told",)) as ordered:
        assert list(ordered(word_and, range(5))) == [("told", number) for number in range(5)]


@pytest.mark.parametrize("processes", [0, 1])
def test_all_tasks_of_a_process_have_one_object_and_another_map_a_new_one(processes):
    for _ in range(2):
        with worker_map(processes, Told, ("told",)) as ordered:
            assert list(ordered(Told.and_numbers, [1, 2])) == [("told", 1), ("told", 1, 2)]
            assert list(ordered(Told.and_numbers, [3])) == [("told", 1, 2, 3)]


def test_a_killed_worker_is_told_with_the_remedy_where_its_result_is_read():
    with worker_map(2, Told, ("told",)) as ordered:
        results = ordered(partial(killed_at, fatal=3), range(8))
        assert [next(results) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(WorkerDied, match="exit code -9: .* for want of memory; set simulate.workers lower"):
            next(results)
        with pytest.raises(WorkerDied):  # the other worker alone would be slow without a word
            list(ordered(pid_after, [0.2] * 4))


def test_a_worker_that_is_killed_while_it_waits_is_missed_at_the_next_task():
    with worker_map(2, Told, ("told",)) as ordered:
        first, second = ordered(pid_after, [0.2, 0.2])
        assert first != second
        for pid in (first, second):
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(WorkerDied):
            list(ordered(pid_after, [0]))


def test_an_error_of_a_task_is_raised_where_its_result_is_read_and_the_worker_goes_on():
    with worker_map(1, Told, ("told",)) as ordered:
        results = ordered(partial(wrong_at, fatal=1), range(3))
        assert next(results) == 0
        with pytest.raises(ValueError, match="no 1") as error:
            next(results)
        assert "in wrong_at" in error.value.__notes__[0]
        assert next(results) == 2


def test_an_error_that_cannot_be_pickled_is_told_by_its_name():
    with worker_map(1, Told, ("told",)) as ordered:
        with pytest.raises(RuntimeError, match="Unsendable: 1 and more") as error:
            list(ordered(wrong_with_an_error_that_cannot_be_pickled, [1]))
        assert "in wrong_with_an_error" in error.value.__notes__[0]
        assert list(ordered(word_and, [2])) == [("told", 2)]


def test_a_worker_that_ended_otherwise_is_not_called_killed():
    with worker_map(1, Told, ("told",)) as ordered, pytest.raises(WorkerDied, match="exit code 3;") as error:
        list(ordered(leaves, [1]))
    assert "memory" not in str(error.value)


def test_a_reader_that_stops_early_ends_the_workers():
    started = time.monotonic()
    with worker_map(2, Told, ("told",)) as ordered:
        workers = [pid for _, pid in zip(range(2), ordered(pid_after, [0.2, 0.2, 600, 600, 600]), strict=False)]
    assert time.monotonic() - started < 300
    assert not any(map(is_alive, workers))


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
    except (FileNotFoundError, ProcessLookupError):  # the second of one that ends between opening and reading
        return False
