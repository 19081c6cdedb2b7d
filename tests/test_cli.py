"""The command line: exit codes, messages without tracebacks, and the pipeline's files against each other."""

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import psutil
import pytest
import yaml

from conftest import heed_interrupts
from lensdream import tracking
from lensdream.cli import COMMANDS, GROUPS, main
from lensdream.commands import register
from lensdream.dataset.store import SCHEMA_VERSION
from lensdream.finder import operating_points
from lensdream.finder.operating_points import OperatingPoints, PointsError
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.model_file import save_model
from lensdream.train.recipes import RECIPES

ROOT = Path(__file__).parents[1]
STAGES = [*next(group for title, group in GROUPS.items() if title.startswith("Stages")), "explain"]


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """An empty folder with our params.yaml, as the working directory."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("stage", [name for name in STAGES if name != "population"])
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
        (["train", "--scale", "quick", "--network", "ou100"], "networks are lensnet, ou66, ou200, lensnet-wide"),
        (["score", "lens.fits", "--out", "scores.csv", "--model", "gone"], "no model 'gone': no such folder"),
        (["explain", "lens.fits", "--model", "gone"], "no model 'gone': no such folder"),
    ],
)
def test_what_is_unknown_is_refused_before_anything_heavy_is_imported(arguments, words, repository):
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
    path.write_text(path.read_text() + "trian:\n  quick: {}\n  poster: {}\n")
    assert main(["train", "--scale", "quick"]) == 2
    assert "trian: no such stage; stages are population, " in capsys.readouterr().err


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
    assert "train.fit.threads: 0 is not in [1, 1024]" in capsys.readouterr().err


def test_an_unknown_key_is_a_usage_error(repository, capsys):
    document = yaml.safe_load((repository / "params.yaml").read_text())
    document["population"]["quick"]["trian"] = 5
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
    def interrupted(scale, network):
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
    document["population"]["quick"]["double_ring"] = 10**6
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
    assert not (repository / "artifacts").exists()


def test_every_live_stage_of_the_pipeline_is_a_command_and_all_but_the_trainings_have_both_scales():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    peers = stages.pop("train-peer")
    assert {item["network"] for item in peers["foreach"].values()} == set(RECIPES) - {"lensnet"}
    for name, item in peers["foreach"].items():
        recipe = RECIPES[item["network"]]
        assert name == f"{item['scale']}-{item['network']}"
        assert item["network"] == recipe.block
        assert recipe.folder == item["folder"] == f"peers/{item['network']}"
        assert recipe.read_settings(item["scale"], ROOT / "params.yaml")
    frozen = {name: stages.pop(name) for name, stage in list(stages.items()) if stage.get("do", {}).get("frozen")}
    # the quick scale looks again with its one network; what it has besides has another name where it is frozen
    assert set(frozen) == {"train-frozen", "train-compound-frozen", "train-deep", "train-second", "train-kinds"}
    assert all(stage["foreach"] == ["poster"] for stage in frozen.values())
    known = {name if name != "compound" else "compound-test" for name in STAGES}
    assert set(stages) == known - {"train-deep", "train-second", "train-kinds"}
    for name, stage in stages.items():
        trains = name in ("train", "train-compound")
        assert stage["matrix"]["scale"] == (["quick"] if trains else ["quick", "poster"])
        assert re.fullmatch(r"lensdream ([\w-]+) --scale \$\{item.scale\}", stage["cmd"]).group(1) in STAGES


def test_the_readmes_commands_exist():
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", readme, re.MULTILINE):
        assert re.search(rf"^(\w+ )*{target}( \w+)*:", makefile, re.MULTILINE), target
    for command in re.findall(r"lensdream (score|tune|register|report)", readme):
        with pytest.raises(SystemExit) as stopped:
            main([command, "--help"])
        assert stopped.value.code == 0


def test_make_observe_runs_two_stages_and_refuses_what_is_no_folder(tmp_path):
    def make(*arguments):
        return subprocess.run(["make", "-C", ROOT, *arguments], capture_output=True, text=True, check=False)

    told = make("-n", "observe", f"CUTOUTS={tmp_path}", "SCALE=poster")
    assert re.findall(r"\w+@poster", told.stdout) == ["observe@poster", "report@poster"]
    assert make("folders", f"CUTOUTS={tmp_path}:{tmp_path}").returncode == 0
    told = make("folders", f"CUTOUTS={tmp_path}:{tmp_path}/gone")
    assert told.returncode == 2
    assert f"CUTOUTS: {tmp_path}/gone is no folder" in told.stderr


def evaluated(root, scale, gate, seed):
    import torch

    torch.manual_seed(seed)
    folder = root / "models" / scale
    save_model(folder, LensNet(LensNetConfig(8, 0.1)), 80)
    operating_points.write(folder, OperatingPoints({"fpr_1e-2": 1.0, "fpr_1e-3": 2.0}, merit=gate))


@pytest.mark.slow
def test_the_champion_gives_way_only_to_a_better_model(repository, capsys):
    evaluated(repository, "quick", 0.80, 1)
    register.run("quick", repository)
    assert "champion" in capsys.readouterr().out
    evaluated(repository, "poster", 0.70, 2)
    register.run("poster", repository)
    assert "champion" not in capsys.readouterr().out
    evaluated(repository, "poster", 0.90, 3)
    register.run("poster", repository)
    assert "champion" in capsys.readouterr().out
    (repository / "models" / "poster" / "operating_points.json").unlink()
    with pytest.raises(FileNotFoundError, match="run the evaluate stage"):
        register.run("poster", repository)


@pytest.mark.slow
def test_all_evaluated_models_are_registered_and_the_best_is_champion(repository, capsys):
    with pytest.raises(FileNotFoundError, match="no model in .* was evaluated: run"):
        register.run(root=repository)
    for age, (scale, gate) in enumerate([("quick", 0.33), ("poster", 0.97), ("unfinished", 0.99)]):
        evaluated(repository, scale, gate, age)
        os.utime(repository / "models" / scale / "operating_points.json", (1e9 - age, 1e9 - age))
    (repository / "models" / "unfinished" / "model.safetensors").unlink()
    register.run(root=repository)
    poster, quick = capsys.readouterr().out.splitlines()
    assert poster.startswith("poster: lensdream version 1, aliases candidate, candidate-poster, champion; ")
    assert quick.startswith("quick: lensdream version 2, aliases candidate, candidate-quick; ")
    # points of other weights keep no other model out, and those of an older version's champion neither
    save_model(repository / "models" / "poster", LensNet(LensNetConfig(8, 0.1)), 80)
    points = tracking.pull(root=repository) / "operating_points.json"
    points.write_text('{"tpr_at_fpr_1e-2": 0.97}')
    register.run(root=repository)
    poster, quick = capsys.readouterr().out.splitlines()
    assert poster.startswith("poster is not registered: ")
    assert "is of another model" in poster
    assert "champion" in quick
    with pytest.raises(PointsError, match="is of another model"):
        register.run("poster", repository)


@pytest.mark.parametrize("scale", ["quick", "poster"])
def test_the_committed_metrics_are_whole(scale):
    evaluate = json.loads((ROOT / "metrics" / scale / "evaluate.json").read_text())
    assert all(row["n"] > 0 for row in evaluate["families"].values())
    assert sum(row["n"] for row in evaluate["families"].values()) == evaluate["n_nonlens"]
    compound = json.loads((ROOT / "metrics" / scale / "compound-test.json").read_text())
    assert {"compound_arc", "double_ring", "matched_single"} <= set(compound)
    for stage in ("population", "simulate", "train", "explain", "observe"):
        assert json.loads((ROOT / "metrics" / scale / f"{stage}.json").read_text())
