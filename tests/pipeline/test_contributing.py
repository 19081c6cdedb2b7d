"""What CONTRIBUTING.md prints, made in a copy of the package: the family that it adds can be drawn, rendered and shown."""

import ast
import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from conftest import ROOT, TESTS

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language):
    """Texts of the fenced blocks of a language, in their order."""
    return [text for name, text in BLOCK.findall((ROOT / "CONTRIBUTING.md").read_text()) if name == language]


def file_of(diff):
    return diff.splitlines()[0].removeprefix("--- ")


def edited(text, diff):
    """The text with the hunks of a diff, each of which is found by its lines: line numbers would not last."""
    for hunk in re.split(r"^@@.*\n", diff, flags=re.MULTILINE)[1:]:
        lines = hunk.splitlines(keepends=True)
        old, new = ("".join(line[1:] for line in lines if line[0] in " " + sign) for sign in "-+")
        assert text.count(old) == 1, f"{file_of(diff)} has {text.count(old)} times\n{old}"
        text = text.replace(old, new)
    return text


def with_values(document, changes):
    """Nested mappings with these entries changed or added."""
    merged = {
        key: with_values(document[key], value) if isinstance(value, dict) else value for key, value in changes.items()
    }
    return document | merged


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of what the edits touch, with the edits."""
    folder = tmp_path_factory.mktemp("contributed")
    no_bytecode = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "src" / "lensdream", folder / "src" / "lensdream", ignore=no_bytecode)
    (shares,) = map(yaml.safe_load, blocks("yaml"))
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    (folder / "params.yaml").write_text(yaml.safe_dump(with_values(params, shares)))
    for diff in blocks("diff"):
        path = folder / file_of(diff)
        path.write_text(edited(path.read_text(), diff))
    for code in blocks("python"):
        path = folder / code.splitlines()[0].removeprefix("# ")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
    shutil.copy(TESTS.joinpath("conftest.py"), folder / "tests")
    shutil.copy(TESTS.joinpath("contributed_family.py"), folder / "tests" / "test_contributed_family.py")
    return folder


def test_a_family_touches_two_files_of_the_source():
    touched = [file_of(diff) for diff in blocks("diff")]
    assert len(touched) == len(set(touched)) == 2
    assert all(name.startswith("src/lensdream/") for name in touched)


def test_an_edit_whose_place_is_gone_is_refused():
    diff = '--- a.py\n@@\n EMPTY = "empty"\n+QUASAR = "quasar"\n'
    assert edited('EMPTY = "empty"\nX = 1\n', diff) == 'EMPTY = "empty"\nQUASAR = "quasar"\nX = 1\n'
    for text in ("X = 1\n", 'EMPTY = "empty"\nEMPTY = "empty"\n'):
        with pytest.raises(AssertionError, match=r"a\.py has [02] times"):
            edited(text, diff)


def test_every_edit_finds_its_place(tree):
    for name in map(file_of, blocks("diff")):
        ast.parse((tree / name).read_text())
        assert (tree / name).read_text() != (ROOT / name).read_text()


@pytest.mark.slow
def test_the_family_can_be_drawn_rendered_and_shown_and_passes_its_test(tree):
    environment = os.environ | {"PYTHONPATH": str(tree / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "--import-mode=importlib", "-p", "no:cacheprovider", "tests"]
    ran = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "6 passed" in ran.stdout
