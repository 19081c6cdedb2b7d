"""The tutorial's scripts run, from the repository's root, and leave a figure."""

import ast
import os
import subprocess
import sys

import pytest

from conftest import ROOT

SCRIPTS = sorted((ROOT / "docs/tutorial").glob("*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_of_the_tutorial_runs_and_leaves_a_figure(script, tmp_path):
    command = [sys.executable, script, tmp_path]
    ran = subprocess.run(command, cwd=ROOT, env=os.environ | {"MPLBACKEND": "Agg"}, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    (figure,) = tmp_path.glob("*.png")
    assert f"figure: {figure}" in ran.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_of_the_tutorial_is_short_and_lists_what_is_new(script):
    tree = ast.parse(script.read_text())
    first_line_of_code = tree.body[1].lineno
    assert "New in this one:\n- " in ast.get_docstring(tree)
    code = [line for line in script.read_text().splitlines()[first_line_of_code - 1 :] if line.strip()]
    assert 15 <= len(code) <= 40
