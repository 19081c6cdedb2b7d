"""`lensdream explain`: the scenes of a scale, or a user's files."""

import pytest

from lensdream.commands import explain, explain_study
from lensdream.commands.inputs import USAGE_ERROR


def test_a_scale_is_studied_and_files_are_not_looked_for(monkeypatch, tmp_path):
    studied = []
    monkeypatch.setattr(explain_study, "run", lambda scale, root: studied.append((scale, root)))
    assert explain.run("quick", [], "out", None, 4, 2, tmp_path) is None
    assert studied == [("quick", tmp_path)]


@pytest.mark.parametrize("there", [False, True], ids=["no file", "no model"])
def test_a_missing_file_or_model_is_a_usage_error_and_nothing_is_written(tmp_path, capsys, there):
    file, out = tmp_path / "a.fits", tmp_path / "out"
    if there:
        file.touch()
    assert explain.run(None, [str(file)], str(out), str(tmp_path / "model"), 4, 2, tmp_path) == USAGE_ERROR
    told = capsys.readouterr().err
    assert told.startswith("lensdream explain: ")
    assert ("no model" if there else "nothing to explain") in told
    assert not out.exists()
