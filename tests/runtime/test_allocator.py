"""Freed memory is kept, by this process and by those that it starts."""

import ctypes
import os
import sys

import pytest

from lensdream.runtime import allocator

NAMES = {
    "MALLOC_MMAP_THRESHOLD_": allocator.MMAP_THRESHOLD, "MALLOC_TRIM_THRESHOLD_": allocator.TRIM_THRESHOLD,
    "MALLOC_TOP_PAD_": allocator.TOP_PAD,
}  # fmt: skip


@pytest.fixture
def calls(monkeypatch):
    """What glibc is asked for; the process itself stays as it is."""
    for name in NAMES:
        monkeypatch.setenv(name, "set so that the test leaves the environment as it was")
        monkeypatch.delenv(name)
    found = []

    class Library:
        def __init__(self, name):
            self.mallopt = lambda option, value: found.append((option, value))

    monkeypatch.setattr(ctypes, "CDLL", Library)
    return found


def test_glibc_and_the_environment_are_given_the_same_thresholds(calls, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("MALLOC_TOP_PAD_", "7")
    allocator.keep_freed_memory()
    # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD and M_TOP_PAD of malloc.h
    assert dict(calls) == {-3: allocator.MMAP_THRESHOLD, -1: allocator.TRIM_THRESHOLD, -2: allocator.TOP_PAD}
    expected = {name: str(value) for name, value in NAMES.items()} | {"MALLOC_TOP_PAD_": "7"}
    assert {name: os.environ[name] for name in NAMES} == expected
    # mallopt takes a C int
    assert max(value for _, value in calls) < 2**31


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_other_systems_are_left_alone(calls, monkeypatch, platform):
    monkeypatch.setattr(sys, "platform", platform)
    allocator.keep_freed_memory()
    assert calls == []
    assert not set(NAMES) & set(os.environ)


def test_a_libc_without_mallopt_is_left_alone(calls, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    allocator.keep_freed_memory()
    assert not set(NAMES) & set(os.environ)
