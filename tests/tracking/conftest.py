"""Fixtures of the tests of tracking."""

import shutil

import pytest

from lensdream.tracking.store import open_store


@pytest.fixture(scope="session")
def migrated(tmp_path_factory):
    """A folder with an empty database; making its tables takes seconds."""
    root = tmp_path_factory.mktemp("tracking")
    open_store(root)
    return root


@pytest.fixture
def root(migrated, tmp_path, monkeypatch):
    monkeypatch.delenv("DVC_EXP_NAME", raising=False)
    shutil.copytree(migrated, tmp_path / "root")
    return tmp_path / "root"
