"""Worker processes: an ordered map over them, Ctrl-C that only their parent hears, and an end with their parent's."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context, parent_process, resource_tracker
from threading import Thread

OrderedMap = Callable[..., Iterator]
"""(function, tasks) -> results in the tasks' order, as the built-in map"""


@contextmanager
def worker_map(processes: int, start: Callable[..., None], arguments: tuple) -> Iterator[OrderedMap]:
    """Give a map over processes that `start(*arguments)` has set up; with 0 processes, over this one.

    Worker processes begin with their tasks at once and work ahead of whoever reads the results; this process computes
    each result when it is asked for. Leaving the context, by an interrupt too, ends the workers where they are, and so does
    the death of this process, whatever killed it. For the main thread only, as it alone hears Ctrl-C.
    """
    if processes == 0:
        start(*arguments)
        yield map
        return
    with ExitStack() as ended:
        with _deaf_children():
            # forked, but from a server that has only imported: a forked torch that has computed may hang. Its half a
            # gigabyte of code and tables is then in memory once, not once a worker
            context = get_context("forkserver")
            context.set_forkserver_preload([start.__module__])
            pool = ended.enter_context(context.Pool(processes, _begin, (start, arguments)))
        yield pool.imap


def _begin(start: Callable[..., None], arguments: tuple) -> None:
    """Set a worker process up."""
    Thread(target=_end_with_parent, daemon=True).start()
    start(*arguments)


def _end_with_parent() -> None:
    """End this worker when its parent is gone: a killed one ends no pool, and its workers would wait for ever."""
    parent_process().join()
    os._exit(1)


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Processes that start in here never hear Ctrl-C; one that comes meanwhile is heard when they have started.

    A terminal sends Ctrl-C to all of its processes. A worker inherits the blocked signal and so is deaf from its first
    import on, long before it could ignore the signal itself.
    """
    resource_tracker.ensure_running()  # the pool or its server would start it, and it unblocks the signal
    came: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        signal.signal(signal.SIGINT, handler)
    if came:
        signal.raise_signal(signal.SIGINT)
