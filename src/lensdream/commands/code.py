"""`lensdream code`: write the digests of the code that every stage runs, and refuse a dvc.lock that was cut off."""

from __future__ import annotations

import ast
from pathlib import Path

from lensdream.runtime.dvc_lock import require_whole
from lensdream.runtime.files import write_json
from lensdream.runtime.source_digest import SOURCE, digests
from lensdream.train.recipes import COMPOUND, DEEP, RECIPES, SECOND_STAGE, Recipe

MANIFESTS = Path("manifests", "code")

DRAWING = {"population": "commands.population", "simulate": "commands.simulate"}
TRAINING = {
    DEEP.block: "commands.second_stage_job",
    SECOND_STAGE.block: "commands.second_stage_job",
    COMPOUND.block: "commands.compound_job",
}
"""modules of the recipes that are not trained on the labelled images of the store"""
MEASURING = {
    "evaluate": "commands.evaluate",
    "survey-test": "commands.survey_test",
    "compound-test": "commands.compound_test",
    "explain": "commands.explain_study",
    "observe": "commands.observe",
    "report": "commands.report",
}

RECORDING = ("tracking", "runtime")
"""rooms that decide no number: they record, and run what others compute"""
TABLES = ("commands.paths", "commands.timings", "commands.train", "train.recipes")
"""modules that say where files lie, how long a stage took, and which recipe there is"""
SHOWING = ("plots", "report")
"""rooms that draw"""


def run(root: Path = Path()) -> None:
    """Write `manifests/code/<stage>.json` for every stage: module -> digest of its syntax tree.

    DVC runs this before any other stage. Raises `ValueError` for a dvc.lock that was cut off, before anything else runs.
    """
    require_whole(root)
    for stage, found in code_of_stages().items():
        write_json(root / MANIFESTS / f"{stage}.json", found)


def code_of_stages(source: Path = SOURCE) -> dict[str, dict[str, str]]:
    """Digests of the modules of every stage, by stage and module.

    Those of drawing and training leave out what only draws: the rooms `plots` and `report`, and modules named `figures`. The
    other stages make figures in little time, and theirs count.
    """
    found = {name: digests([module], without=_shows, source=source) for name, module in DRAWING.items()}
    for name, recipe in RECIPES.items():
        roots = [TRAINING.get(name, "commands.labelled_job"), network_module(recipe, source)]
        found[f"train-{name}"] = digests(roots, without=_shows, source=source)
    found["class-prior"] = digests(["commands.class_prior"], without=_shows, source=source)
    return found | {
        name: digests([module], without=_decides_nothing, source=source) for name, module in MEASURING.items()
    }


def network_module(recipe: Recipe, source: Path = SOURCE) -> str:
    """Module of the network of a recipe, found by the name of its class; nothing is imported."""
    for file in sorted((source / "networks").glob("*.py")):
        classes = [node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.ClassDef)]
        if recipe.network in classes:
            return f"networks.{file.stem}"
    raise LookupError(f"no module of {source / 'networks'} has the class {recipe.network} of the recipe {recipe.block}")


def _decides_nothing(module: str) -> bool:
    return module.partition(".")[0] in RECORDING or module in TABLES


def _shows(module: str) -> bool:
    return _decides_nothing(module) or module.partition(".")[0] in SHOWING or module.rpartition(".")[2] == "figures"
