"""`lensdream ui` serves the tracking database of its folder, on this machine alone."""

import os

import pytest

from lensdream import tracking
from lensdream.commands import ui


def test_the_server_takes_the_place_of_the_command_and_the_address_is_printed(monkeypatch, tmp_path, capsys):
    (tmp_path / "params.yaml").write_text("")
    started = []
    monkeypatch.setattr(os, "execvp", lambda file, arguments: started.append((file, arguments)))
    ui.run(5123, tmp_path)
    command = tracking.ui_command(tmp_path, 5123)
    assert started == [(command[0], command)]
    assert capsys.readouterr().out.startswith("MLflow at http://127.0.0.1:5123 ")


def test_outside_of_a_repository_nothing_is_made(tmp_path):
    with pytest.raises(FileNotFoundError, match="no params.yaml in .*: run from the repository's root"):
        ui.run(5123, tmp_path)
    assert list(tmp_path.iterdir()) == []
