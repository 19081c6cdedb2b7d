"""Files that appear whole or not at all, also after a power cut."""

import errno
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from lensdream.runtime.files import replaced_whole, write_whole


@pytest.fixture
def calls(monkeypatch):
    """Names of what was synced and renamed, in this order."""
    made, sync, rename = [], os.fsync, Path.replace

    def synced(descriptor):
        made.append(("sync", Path(os.readlink(f"/proc/self/fd/{descriptor}")).name))
        sync(descriptor)

    def renamed(part, path):
        made.append(("rename", path.name))
        return rename(part, path)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    return made


def test_content_is_on_the_disk_before_its_name_and_the_name_before_the_end(tmp_path, calls):
    write_whole(tmp_path / "new" / "a.json", b"{}")
    assert calls == [("sync", "a.json.part"), ("rename", "a.json"), ("sync", "new")]
    assert (tmp_path / "new" / "a.json").read_bytes() == b"{}"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.json"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_or_an_interrupt_leaves_the_older_file_alone(tmp_path, error):
    path = tmp_path / "a.bin"
    path.write_bytes(b"older")
    with pytest.raises(error), replaced_whole(path) as part:  # noqa: PT012
        part.write_bytes(b"half")
        raise error
    assert path.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_synced_does_not_fail_a_file_that_is_whole(tmp_path, monkeypatch):
    sync = os.fsync

    def no_folders(descriptor):
        if Path(os.readlink(f"/proc/self/fd/{descriptor}")).is_dir():
            raise OSError("folders are not synced here")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", no_folders)
    write_whole(tmp_path / "a.bin", b"whole")
    assert (tmp_path / "a.bin").read_bytes() == b"whole"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError("9 requested and 5 written"),
        OSError("Not enough free space to write 25600000 bytes after offset 128"),
    ],
)
def test_a_full_disk_is_told_with_the_path_and_the_remedy_and_the_older_file_stays(error, tmp_path):
    """By the system, and by numpy, which gives no number: as both told it on a full file system."""
    path = tmp_path / "scores.csv"
    path.write_text("older")

    def fails():
        with replaced_whole(path) as part:
            part.write_text("half")
            raise error

    with pytest.raises(
        OSError, match=f"the disk is full: free some space and run again; {path} was not written"
    ) as told:
        fails()
    assert told.value.errno == errno.ENOSPC
    assert path.read_text() == "older"
    assert [file.name for file in tmp_path.iterdir()] == ["scores.csv"]


@pytest.mark.parametrize(("free", "told"), [(4096, "the disk is full"), (2**30, "no columns")])
def test_of_another_error_without_a_number_the_disk_is_asked(free, told, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    with pytest.raises(OSError, match=told), replaced_whole(tmp_path / "a"):
        raise OSError("no columns")
