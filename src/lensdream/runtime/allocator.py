"""Reuse of freed memory: large arrays come and go at every operation, and glibc hands each back to the kernel."""

from __future__ import annotations

import ctypes
import os
import sys

MMAP_THRESHOLD, TRIM_THRESHOLD, TOP_PAD = 1 << 30, (1 << 31) - 1, 64 << 20
"""[byte]: allocations up to the first come from the heap, which is trimmed beyond the second, in steps of the third"""


def keep_freed_memory() -> None:
    """Let this process and those it starts reuse the memory of freed arrays instead of faulting it in anew.

    Inference is some 1.3 times as fast with it. Only glibc knows these calls; elsewhere nothing is done.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # musl
        return
    for name, option, value in (
        ("MALLOC_MMAP_THRESHOLD_", -3, MMAP_THRESHOLD),
        ("MALLOC_TRIM_THRESHOLD_", -1, TRIM_THRESHOLD),
        ("MALLOC_TOP_PAD_", -2, TOP_PAD),
    ):
        mallopt(option, value)
        os.environ.setdefault(name, str(value))  # glibc of a new process reads these
