"""`lensdream ui` serves the tracking database of its folder, on this machine alone."""

import subprocess

from lensdream import tracking
from lensdream.commands import ui


def test_the_exit_code_is_the_servers_and_the_address_is_printed(monkeypatch, tmp_path, capsys):
    started = []

    def serve(command, check):
        started.append(command)
        return subprocess.CompletedProcess(command, 7)

    monkeypatch.setattr(subprocess, "run", serve)
    assert ui.run(5123, tmp_path) == 7
    assert started == [tracking.ui_command(tmp_path, 5123)]
    assert capsys.readouterr().out.startswith("MLflow at http://127.0.0.1:5123 ")
