"""DVC as its users expect it, in a repository with a pipeline like ours, small enough to run in two minutes."""

import json
import re
import shutil

import pytest
import yaml

import tiny_pipeline
from tiny_pipeline import outputs, run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The repository after `dvc pull`, bare `dvc repro` and a commit of what git does not ignore."""
    folder = tmp_path_factory.mktemp("pipeline")
    tiny_pipeline.make(folder)
    run("dvc", "pull", "--quiet", "data.dvc", cwd=folder)
    told = run("dvc", "repro", cwd=folder).stdout
    tiny_pipeline.commit(folder, "results")
    return folder, told


def locked(folder):
    return yaml.safe_load((folder / "dvc.lock").read_text())["stages"]


def stale(folder):
    """Stages of the quick scale that have changed, once the digests of the code are written."""
    run("lensdream", "code", cwd=folder)
    return set(json.loads(run("dvc", "status", "--json", "dvc.yaml", cwd=folder).stdout)) - {"code"}


def test_a_bare_repro_runs_the_quick_scale_alone(finished):
    folder, told = finished
    assert "Running stage 'report'" in told
    assert "poster" not in re.sub("poster, published.*", "", told)
    assert not (folder / "artifacts" / "poster").exists()


def test_a_run_leaves_what_git_sees_as_it_was(finished):
    folder, _ = finished
    before = outputs(folder)
    for name in ("artifacts/quick/images", "artifacts/quick/scores", "models/quick/compound", "reports"):
        shutil.rmtree(folder / name)
    run("dvc", "repro", cwd=folder)
    assert run("git", "status", "--porcelain", cwd=folder).stdout == ""
    assert outputs(folder) == before


def documented():
    """Commands in the shell blocks of docs/pipeline.md."""
    text = (tiny_pipeline.ROOT / "docs" / "pipeline.md").read_text()
    lines = (line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines())
    return [line.partition("#")[0].strip() for line in lines]


AS_PART_OF_A_TEST = {
    "dvc pull": "fixture",
    "dvc repro": "fixture",
    "lensdream run --scale poster": "its plan, below; the run is `dvc repro`",
    "dvc exp run -S lensnet.fit.learning_rate=0.001": "an experiment with another value",
    "dvc exp run --queue -S scales.quick.lensnet.fit.epochs=8": "--temp, which makes the same folder",
    "dvc exp apply NAME": "an experiment with another value",
}
"""documented commands that take long, or a name: what runs them here"""


def test_every_documented_command_is_run_here(finished):
    folder, _ = finished
    commands = documented()
    assert len(commands) > 8
    assert set(AS_PART_OF_A_TEST) <= set(commands)
    for command in commands:
        if command not in AS_PART_OF_A_TEST:
            run(*command.split(), cwd=folder)


@pytest.mark.parametrize(
    "command",
    [
        ("dvc", "pull", "data.dvc"),
        ("dvc", "checkout"),
        ("dvc", "status"),
        ("dvc", "repro", "--dry"),
        ("dvc", "metrics", "show"),
        ("dvc", "params", "diff"),
        ("dvc", "exp", "show", "--no-pager"),
        ("dvc", "plots", "show"),
        ("dvc", "dag"),
    ],
)
def test_everyday_commands_end_with_0(command, finished):
    run(*command, cwd=finished[0])


def test_nothing_is_stale_after_a_run(finished):
    folder, _ = finished
    assert stale(folder) == set()
    assert "nothing has changed" in run("lensdream", "run", "--scale", "quick", "--dry", cwd=folder).stdout


def test_the_plan_says_what_follows_from_a_changed_setting_and_how_long_it_took(finished):
    folder, _ = finished
    text = (folder / "params.yaml").read_text()
    try:
        tiny_pipeline.apply_overrides(folder / "params.yaml", ["compound_test.prevalence=0.02"])
        told = run("lensdream", "run", "--scale", "quick", "--dry", cwd=folder).stdout
    finally:
        (folder / "params.yaml").write_text(text)
    lines = dict(re.findall(r"^  ([\w@-]+) +(\d.*)$", told, re.MULTILINE))
    assert set(lines) == {"compound-test", "report"}
    assert lines["compound-test"].endswith("inputs, code or settings")
    assert re.fullmatch(r"\d+ s", lines["report"])


def test_an_experiment_changes_one_line_of_the_settings_and_is_applied(finished):
    folder, _ = finished
    before = (folder / "params.yaml").read_text().splitlines()
    run("dvc", "exp", "run", "--name", "rare", "-S", "compound_test.prevalence=0.02", cwd=folder)
    after = (folder / "params.yaml").read_text().splitlines()
    changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert [new.split("#")[0].strip() for _, new in changed] == ["prevalence: 0.02"]
    run("git", "checkout", "--quiet", ".", cwd=folder)
    run("dvc", "exp", "apply", "rare", cwd=folder)
    assert locked(folder)["compound-test"]["params"]["params.yaml"]["compound_test"]["prevalence"] == 0.02
    assert "rare" in run("dvc", "exp", "show", "--no-pager", "--only-changed", cwd=folder).stdout
    run("git", "checkout", "--quiet", ".", cwd=folder)
    run("dvc", "repro", cwd=folder)


def test_an_experiment_in_a_folder_of_its_own_keeps_its_runs_and_draws_no_images(finished):
    folder, _ = finished
    changed = ("-S", "compound_test.prevalence=0.05")
    told = run("dvc", "exp", "run", "--temp", "--name", "apart", *changed, "simulate", cwd=folder)
    assert "linked from" in told.stdout + told.stderr
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder / 'mlruns' / 'mlflow.db'}")
    runs = client.search_runs(["1"], "tags.dvc_exp_name = 'apart'")
    assert {run.data.tags.get("stage") for run in runs} == {None, "population", "simulate"}
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_a_third_scale_is_one_block_of_settings(finished):
    folder, _ = finished
    text = (folder / "params.yaml").read_text()
    networks = "    networks:\n      lensnet: trained\n      compound_classifier: trained\n"
    block = f"  third:\n{networks}    population:\n      train: 12\n"
    try:
        (folder / "params.yaml").write_text(text + block)
        run("lensdream", "params", "--write", cwd=folder)
        told = run("lensdream", "run", "--scale", "third", "--dry", cwd=folder).stdout
        assert "train@compound_classifier" in told
        assert told.count("never run here") == 10
        assert stale(folder) == set()  # of the quick scale
    finally:
        shutil.rmtree(folder / "scales" / "third", ignore_errors=True)
        run("git", "checkout", "--quiet", "params.yaml", cwd=folder)


def test_a_lock_that_was_cut_off_is_noticed_before_anything_runs(finished):
    folder, _ = finished
    whole = (folder / "dvc.lock").read_text()
    stages = list(locked(folder))
    try:
        at = whole.index(f"  {stages[4]}:")
        (folder / "dvc.lock").write_text(whole[:at])
        done = run("dvc", "repro", cwd=folder, check=False)
        assert done.returncode != 0
        assert f"lacks {', '.join(stages[4:])}" in done.stderr + done.stdout
        assert "git checkout dvc.lock" in done.stderr + done.stdout
        assert "Running stage 'evaluate'" not in done.stdout
    finally:
        (folder / "dvc.lock").write_text(whole)
    run("git", "checkout", "--quiet", "manifests", cwd=folder)
    assert stale(folder) == set()
