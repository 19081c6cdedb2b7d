"""The plan of a scale: what is told of it. tests/pipeline/test_dvc.py has plans of a real pipeline."""

import subprocess
import sys

import pytest
import yaml

from lensdream.commands.run import Planned, _reason, absent_data, duration, told


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "never run here"), (0.4, "0 s"), (59.6, "1 min 00 s"), (754, "12 min 34 s"), (7505, "2 h 05 min")],
)
def test_a_time_has_two_units(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (["always changed"], ""),
        ([{"changed deps": {"a": "modified"}}], "inputs, code or settings"),
        ([{"changed outs": {"a": "deleted"}}, "changed command"], "outputs missing or altered, command"),
    ],
)
def test_the_reason_is_dvcs_status_in_words(status, reason):
    assert _reason(status) == reason


def test_stages_are_told_with_their_reason_their_time_and_the_sum():
    plan = [Planned("evaluate", "inputs, code or settings", 24.3), Planned("report", "", None)]
    lines = told(plan, "quick").splitlines()
    assert lines[0] == "quick: 2 stages will run, those without a reason only if the results before them change"
    assert lines[1].split(maxsplit=3) == ["evaluate", "24", "s", "inputs, code or settings"]
    assert lines[2].split(maxsplit=1) == ["report", "never run here"]
    assert lines[3].split() == ["all", "that", "ran", "before", "24", "s"]
    assert told([], "quick") == "quick: nothing has changed"


def test_data_that_were_not_pulled_are_named(tmp_path):
    for command in (["git", "init", "--quiet"], ["dvc", "init", "--quiet"]):
        subprocess.run([sys.executable, "-m", *command] if command[0] == "dvc" else command, cwd=tmp_path, check=True)
    (tmp_path / "data.dvc").write_text(yaml.safe_dump({"outs": [{"md5": "0" * 32, "path": "data"}]}))
    assert absent_data(tmp_path) == ["data"]
    (tmp_path / "data").write_text("pulled")
    assert absent_data(tmp_path) == []
