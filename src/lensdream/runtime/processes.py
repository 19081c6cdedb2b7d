"""Worker processes: an ordered map over them, Ctrl-C handled by their parent alone, and an end with their parent's."""

from __future__ import annotations

import os
import pickle
import signal
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.pool import ThreadPool
from queue import SimpleQueue
from threading import Thread

OrderedMap = Callable[..., Iterator]
"""(function, tasks) -> results in the tasks' order, as the built-in map; `function(state, task)` makes one"""


class WorkerDied(ChildProcessError):
    """A worker process that ended before it had answered."""


@contextmanager
def worker_map(processes: int, start: Callable[..., object], arguments: tuple) -> Iterator[OrderedMap]:
    """Give a map over processes; with 0 processes, over this one.

    `start(*arguments)` makes a state in each process, once, and every task there takes that object: `function(state,
    task)`. Changes that tasks make to it stay in their process. `start` and `function` are sent to the processes by name: a
    class's constructor and its methods will do.

    Worker processes begin with their tasks at once and work ahead of whoever reads the results; this process computes
    each result when it is asked for. Reading raises `WorkerDied` at the task of a worker that was killed, and
    any error of `function` at its task. Leaving the context, by an interrupt too, ends the workers where they are, and so does
    the death of this process, whatever killed it. For the main thread only, as it alone receives Ctrl-C.
    """
    if processes == 0:
        yield partial(_mapped, start(*arguments))
        return
    with ExitStack() as ended:
        with _deaf_children():
            # forked, but from a server that has only imported: a forked torch that has computed may hang. Its half a
            # gigabyte of code and tables is then in memory once, not once a worker
            context = get_context("forkserver")
            context.set_forkserver_preload([start.__module__])
            idle: SimpleQueue[_Worker] = SimpleQueue()
            for _ in range(processes):
                idle.put(ended.enter_context(_worker(context, start, arguments)))
            # a thread waits for each worker, on a pipe of their own: multiprocessing's pool replaces a killed worker but waits
            # for its result for ever, and its workers share a lock that dies with its holder
            threads = ended.enter_context(ThreadPool(processes))
        yield lambda function, tasks: threads.imap(partial(_result, idle, function), tasks)


def _mapped(state: object, function: Callable, tasks: Iterable) -> Iterator:
    return map(partial(function, state), tasks)


_Worker = tuple[ForkServerProcess, Connection]


@contextmanager
def _worker(context: ForkServerContext, start: Callable[..., object], arguments: tuple) -> Iterator[_Worker]:
    """A worker process, and the connection that takes its (function, task) and gives back (result, error)."""
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, start, arguments), daemon=True)
    process.start()
    theirs.close()  # so that its end is the connection's
    try:
        yield process, ours
    finally:
        process.terminate()
        process.join()


def _result(idle: SimpleQueue[_Worker], function: Callable, task: object) -> object:
    """Result of a task from an idle worker."""
    process, connection = worker = idle.get()
    try:
        connection.send((function, task))
        result, error = connection.recv()
    except (EOFError, OSError) as lost:
        process.join()
        killed = process.exitcode == -signal.SIGKILL
        raise WorkerDied(
            f"a worker process died with exit code {process.exitcode}"
            + (
                ": it was killed, most likely for want of memory; set simulate.workers lower and run again"
                if killed
                else "; its own message stands above. simulate.workers: 1 computes without workers"
            )
        ) from lost
    finally:
        idle.put(worker)
    if error is not None:
        raise error
    return result


def _work(connection: Connection, start: Callable[..., object], arguments: tuple) -> None:
    """Make the state of this worker process and answer until it is ended."""
    Thread(target=_end_with_parent, daemon=True).start()
    state = start(*arguments)
    with suppress(EOFError, ConnectionError):  # of a parent that is gone
        while True:
            function, task = connection.recv()
            try:
                answer = function(state, task), None
            except Exception as error:  # to be raised where the result is read
                error.add_note(f"in a worker process:\n{traceback.format_exc()}")
                answer = None, _sendable(error)
            connection.send(answer)


def _sendable(error: Exception) -> Exception:
    """The error, or where it cannot be pickled a `RuntimeError` of its text."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever its pickling raises
        replacement = RuntimeError(f"{type(error).__name__}: {error}")
        for note in error.__notes__:
            replacement.add_note(note)
        return replacement
    return error


def _end_with_parent() -> None:
    """End this worker when its parent is gone: a killed one ends no worker, and a busy one would not notice."""
    parent_process().join()
    os._exit(1)


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Context in which started processes are deaf to Ctrl-C; one that comes meanwhile takes effect when they have started.

    A terminal sends Ctrl-C to all of its processes. A worker inherits the blocked signal and so is deaf from its first
    import on, long before it could ignore the signal itself.
    """
    resource_tracker.ensure_running()  # the pool or its server would start it, and it unblocks the signal
    received: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _: received.append(number))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        signal.signal(signal.SIGINT, handler)
    if received:
        signal.raise_signal(signal.SIGINT)
