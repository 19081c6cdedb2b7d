"""The digests of the code of every stage, and what changes them: tried on a copy of the package."""

import json
import shutil

import pytest
import yaml

from conftest import ROOT
from lensdream.commands import code
from lensdream.runtime.source_digest import SOURCE
from lensdream.train.recipes import RECIPES

HEAVY = {"population", "simulate", "class-prior", *(f"train-{name}" for name in RECIPES)}
"""stages that draw and train"""


@pytest.fixture
def stale(tmp_path):
    """stale(file, old, new) -> the stages whose digests change with that replaced in a copy of the package."""
    before = code.code_of_stages()
    package = shutil.copytree(SOURCE, tmp_path / "lensdream", ignore=shutil.ignore_patterns("__pycache__"))

    def changed(file, old, new):
        path = package / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))
        after = code.code_of_stages(package)
        return {stage for stage in before if before[stage] != after[stage]}

    return changed


def test_every_stage_of_the_pipeline_depends_on_its_digests():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    files = {
        dep.rpartition("/")[2]
        for stage in stages.values()
        for dep in stage.get("do", stage).get("deps", [])
        if dep.startswith("manifests/code/")
    }
    assert {name.replace("${key}", "lensnet").removesuffix(".json") for name in files} <= set(code.code_of_stages())
    assert len(files) == len(stages) - 1  # all but the stage that writes them
    assert not any("src/" in dep for stage in stages.values() for dep in stage.get("do", stage).get("deps", []))


def test_a_copy_of_the_package_has_the_same_digests(stale):
    assert stale("__init__.py", "lensdream", "lensdream") == set()


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("render/renderer.py", "\n\n\n", "\n\n\n# a remark\n"),  # a comment
        ("cli.py", "draw galaxies with SkyPy", "draw many galaxies with SkyPy"),  # a help text
        ("config/stages.py", "of every draw", "of all draws"),  # the text of a setting
        ("optics/sie.py", '"""', '"""More: '),  # a docstring
        ("tracking/runs.py", "pipeline_run", "run_of_pipeline"),
    ],
)
def test_comments_and_texts_change_no_stage(file, old, new, stale):
    assert stale(file, old, new) == set()


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("population/figures.py", "#d95f02", "#d95f03"),
        ("plots/composite.py", "import", "import math\nimport"),
        ("evaluate/figures.py", "import", "import math\nimport"),
        ("report/page.html", "<p>", "<p >"),
    ],
)
def test_a_plot_changes_no_stage_that_draws_or_trains(file, old, new, stale):
    assert not stale(file, old, new) & HEAVY


def test_a_formula_changes_the_stages_that_use_it(stale):
    assert {"population", "simulate"} <= stale("optics/sersic.py", "return ", "return 1.0 * ")


def test_a_network_changes_the_trainings_of_that_network_and_no_drawing(stale):
    changed = stale("networks/ou.py", "return ", "return 1.0 * ")
    assert "train-ou66" in changed
    assert not changed & {"train-lensnet", "train-second_stage", "population", "simulate"}


def test_a_setting_of_one_stage_leaves_the_others_alone(stale):
    changed = stale("config/stages.py", "examples_per_family: int = setting(6", "examples_per_family: int = setting(7")
    assert changed == {"report"}


def test_the_files_are_written_by_stage(tmp_path):
    code.run(tmp_path)
    written = {path.stem: json.loads(path.read_text()) for path in (tmp_path / code.MANIFESTS).iterdir()}
    assert written == code.code_of_stages()
