"""`lensdream dataset diff` of files, folders and revisions."""

import dataclasses
import json
import shutil
import subprocess

import pytest

from conftest import PARAMS, SMALL_IMAGES
from lensdream.cli import main
from lensdream.commands import diff
from lensdream.dataset import write
from lensdream.dataset.describe import describe_images


def git(folder, *arguments):
    author = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "-C", folder, *author, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(scenes, tmp_path):
    """A repository with two versions of a data set in its last commits: the second has fewer images."""
    git(tmp_path, "init")
    manifests = tmp_path / "manifests"
    for n in (10, 6):
        part = scenes.take(slice(0, n))
        part.save(tmp_path / "scenes")
        write.write_store(part, SMALL_IMAGES, tmp_path / "images")
        described = describe_images(tmp_path / "images", SMALL_IMAGES)
        described.write(manifests / "quick" / "images.json")
        dataclasses.replace(described, of="scenes").write(manifests / "quick" / "scenes.json")
        (manifests / "code").mkdir(exist_ok=True)
        (manifests / "code" / "simulate.json").write_text(json.dumps({"optics.sie": str(n)}))
        git(tmp_path, "add", "manifests")
        git(tmp_path, "commit", "-m", str(n))
    return tmp_path


def test_two_revisions_are_compared_scenes_and_images(repository, capsys):
    assert diff.run("HEAD~1", "HEAD", root=repository) == 1
    told = capsys.readouterr().out
    assert "scenes: other scenes:" in told
    assert "images: other images:" in told
    assert "  count " in told
    assert "  code optics.sie: '10' -> '6'" in told
    assert diff.run("HEAD", "HEAD", root=repository) == 0
    assert capsys.readouterr().out == "scenes: equal\nimages: equal\n"


def test_files_and_folders_are_compared(repository, capsys):
    file = repository / "manifests" / "quick" / "images.json"
    assert diff.run(str(file), str(file)) == 0
    assert diff.run(str(file), str(repository / "images")) == 1  # a folder says nothing of its settings
    assert "images: the same data, described with other settings or code" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ("HEAD~7", "HEAD", "'HEAD~7' is neither a file, nor a folder, nor a revision of git"),
        ("--output=x", "HEAD", "'--output=x' is neither a file"),
        ("HEAD", ".", "HEAD is no file or folder: compare two files"),
    ],
)
def test_what_is_no_version_is_refused(one, other, words, repository, monkeypatch, capsys):
    monkeypatch.chdir(repository)
    with pytest.raises(ValueError, match=words):
        diff.run(one, other, root=repository)
    assert not (repository / "x").exists()


def test_another_scale_and_a_tolerance_that_is_none_are_refused(repository):
    with pytest.raises(ValueError, match=r"HEAD has no manifests/huge/scenes\.json: its data were not described yet"):
        diff.run("HEAD", "HEAD", "huge", root=repository)
    with pytest.raises(ValueError, match=r"--tolerance 2: give a share of a quantile in \[0, 1\)"):
        diff.run("HEAD", "HEAD", tolerance=2, root=repository)


def test_the_command_line_has_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copy(PARAMS, tmp_path)
    (tmp_path / "a.json").write_text("[]")
    assert main(["dataset", "diff", "a.json", "a.json"]) == 2
    assert "a.json holds a list, not an object of keys" in capsys.readouterr().err
