"""The command line: exit codes, messages without tracebacks, and the pipeline's files against each other."""

import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import termios
import threading
import time

import psutil
import pytest
import yaml

from conftest import ROOT, heed_interrupts
from lensdream.cli import COMMANDS, GROUPS, main
from lensdream.dataset.store import SCHEMA_VERSION

STAGES = [*next(group for title, group in GROUPS.items() if title.startswith("Stages")), "explain"]


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A folder with our params.yaml and DVC's files, as the working directory."""
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "scales", tmp_path / "scales")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("stage", [name for name in STAGES if name not in ("code", "population")])
def test_a_stage_before_its_turn_names_the_remedy(stage, repository, capsys):
    assert main([stage, "--scale", "quick"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("lensdream: no ")
    assert "run" in error
    assert "Traceback" not in error


def test_an_unknown_scale_is_a_usage_error(repository, capsys):
    assert main(["train", "--scale", "huge"]) == 2
    assert "scales are poster, quick" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--scale", "huge"], "scales are poster, quick"),
        (
            ["train", "--scale", "quick", "--recipe", "ou100"],
            "recipes are lensnet, ou66, deep, second_stage, compound_classifier",
        ),
        (["score", "lens.fits", "--out", "scores.csv", "--model", "gone"], "no model 'gone': no such folder"),
        (["explain", "lens.fits", "--model", "gone"], "no model 'gone': no such folder"),
    ],
)
def test_an_unknown_scale_or_model_is_refused_before_anything_heavy_is_imported(arguments, words, repository):
    script = (
        f"import sys; from lensdream.cli import main; code = main({arguments!r}); "
        "heavy = {'torch', 'pandas', 'scipy', 'mlflow', 'astropy', 'matplotlib'} & set(sys.modules); "
        "print(sorted(heavy)); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_of_a_command_has_a_help_text(name):
    parser = argparse.ArgumentParser()
    COMMANDS[name].add_arguments(parser)
    assert all(action.help for action in parser._actions)


def test_an_unknown_block_is_refused(repository, capsys):
    path = repository / "params.yaml"
    path.write_text(path.read_text() + "trian:\n  fit: {}\n")
    assert main(["train", "--scale", "quick"]) == 2
    assert "trian: no such block; blocks are population, " in capsys.readouterr().err


def test_the_comments_of_params_yaml_are_those_of_the_settings(repository, capsys):
    assert main(["params"]) == 0
    path = repository / "params.yaml"
    shipped = path.read_text()
    path.write_text(shipped.replace("# of every draw", "# of some draws").replace("threads: 2 ", "threads: 3 "))
    assert main(["params"]) == 1
    assert "run `lensdream params --write`" in capsys.readouterr().out
    assert main(["params", "--write"]) == 0
    assert path.read_text() == shipped.replace("threads: 2 ", "threads: 3 ")
    path.write_text(shipped.replace("threads: 2 ", "threads: 0 "))
    assert main(["params", "--write"]) == 2
    assert "deep.fit.threads: 0 is not in [1, 1024]" in capsys.readouterr().err


def test_an_unknown_key_is_a_usage_error(repository, capsys):
    document = yaml.safe_load((repository / "params.yaml").read_text())
    document["scales"]["quick"]["population"]["trian"] = 5
    (repository / "params.yaml").write_text(yaml.safe_dump(document))
    assert main(["population", "--scale", "quick"]) == 2
    assert "population.trian: unknown key" in capsys.readouterr().err


def test_scoring_nothing_is_a_usage_error(repository, capsys):
    assert main(["score", str(repository / "nothing"), "--out", "scores.csv"]) == 2
    assert "lensdream" in capsys.readouterr().err


@pytest.mark.parametrize("action", [["check"], ["show", "--out", "sheet.png"]])
def test_a_missing_store_names_the_remedy(action, repository, capsys):
    assert main(["dataset", action[0], str(repository / "images"), *action[1:]]) == 2
    assert "run it" in capsys.readouterr().err


def test_a_broken_store_has_its_own_code(repository, capsys):
    folder = repository / "images"
    folder.mkdir()
    (folder / "manifest.json").write_text('{"schema_version": 1}')
    assert main(["dataset", "check", str(folder)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("lensdream: ")
    assert f"is of schema 1, this version reads {SCHEMA_VERSION}: remove" in error
    assert "Traceback" not in error


def test_ctrl_c_ends_with_its_own_code(monkeypatch, capsys):
    def interrupted(scale, recipe):
        raise KeyboardInterrupt

    monkeypatch.setattr("lensdream.commands.train.run", interrupted)
    assert main(["train", "--scale", "quick"]) == 130
    assert "run the same command again for the rest" in capsys.readouterr().err


def wait_for(there, seconds=120):
    deadline = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def copied(screen, path):
    """Write what appears on a terminal into a file, until its last process ends: bars are drawn on terminals only."""
    with path.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while text := os.read(screen, 4096):
            file.write(text)


@pytest.mark.slow
@pytest.mark.parametrize("ready", [False, True], ids=["while workers start", "while they draw"])
def test_ctrl_c_in_the_population_ends_it_clearly(ready, repository):
    document = yaml.safe_load((repository / "params.yaml").read_text())
    document["scales"]["quick"]["population"]["double_ring"] = 10**6
    (repository / "params.yaml").write_text(yaml.safe_dump(document))
    (repository / "errors").touch()
    screen, terminal = os.openpty()
    termios.tcsetwinsize(terminal, (24, 100))
    command = [sys.executable, "-m", "lensdream.cli", "population", "--scale", "quick"]
    process = subprocess.Popen(command, stderr=terminal, start_new_session=True, preexec_fn=heed_interrupts)
    os.close(terminal)
    threading.Thread(target=copied, args=(screen, repository / "errors"), daemon=True).start()

    def workers():
        """The server and what it forked."""
        children = psutil.Process(process.pid).children(recursive=True)
        running = [child for child in children if child.status() != psutil.STATUS_ZOMBIE]  # those have no command line
        return [child for child in running if any("forkserver" in part for part in child.cmdline())]

    def drawing():
        return re.search(r" [1-9]\d*/\d+ \[", (repository / "errors").read_text())

    wait_for(drawing if ready else lambda: len(workers()) >= 3)
    children = workers()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    assert process.wait(timeout=60) == 130
    wait_for(lambda: "interrupted: " in (repository / "errors").read_text(), 10)
    told = (repository / "errors").read_text()
    assert "interrupted: what was whole is kept; run the same command again for the rest" in told
    assert "Traceback" not in told
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
    assert not (repository / "artifacts" / "quick" / "scenes").exists()
