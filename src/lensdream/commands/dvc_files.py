"""DVC's files of the scales: that of the quick scale, dvc.yaml, is written by hand; those of the others are made from it."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from lensdream import config
from lensdream.config import ConfigError, Models
from lensdream.networks import layout
from lensdream.networks.layout import SETTINGS, WEIGHTS
from lensdream.train.recipes import CLASS_PRIOR, COMPOUND, DEEP, LENSNET, RECIPES, SECOND_STAGE, Recipe

QUICK = "quick"
"""scale of dvc.yaml"""
UP = "../.."
"""the repository, as seen from the folder of another scale's file"""
CODE = "code"
"""stage of all scales alike, in dvc.yaml alone"""
WITH_BASELINES = ("evaluate", "survey-test")
"""stages that score the baselines too"""
FIRST_STAGE_ONLY = ("explain",)

HEADER = """\
# The pipeline at the scale {scale}, made from dvc.yaml and the scale's block of params.yaml by `lensdream params --write`: edit
# those. `lensdream run --scale {scale}` runs it.

"""


def file_of(scale: str, root: Path = Path()) -> Path:
    """DVC's file of a scale."""
    return root / "dvc.yaml" if scale == QUICK else root / "scales" / scale / "dvc.yaml"


def pipeline_of(scale: str, document: Mapping, params: Mapping) -> dict:
    """Stages of a scale, as DVC has them.

    document: content of dvc.yaml; params: content of params.yaml.
    """
    models = config.models_of(params["scales"][scale])
    refuse_unsound(scale, models)
    own = copy.deepcopy(dict(document))
    own["stages"] = {name: stage for name, stage in own["stages"].items() if scale == QUICK or name != CODE}
    text = yaml.safe_dump(own, sort_keys=False, width=1000)
    for sign in "/. ":
        text = text.replace(f"{sign}{QUICK}", f"{sign}{scale}")
    own = yaml.safe_load(text)
    for name, stage in own["stages"].items():
        _fit(name, stage, scale, models, params)
    if scale != QUICK:  # `dvc plots` draws all files that it finds: one scale at a time
        own.pop("plots", None)
    return own


def refuse_unsound(scale: str, models: Models) -> None:
    """Raise `ConfigError` for networks that no recipe has, or that lack those that they need."""
    every, known = (*models.recipes, *models.given), (*RECIPES, CLASS_PRIOR)
    problems = [f"{name}: no such network; networks are {', '.join(known)}" for name in every if name not in known]
    problems += [
        f"{name}: missing; every scale needs it" for name in (LENSNET.block, COMPOUND.block) if name not in every
    ]
    for name in models.recipes:
        needed = SECOND_STAGE.block if name == CLASS_PRIOR else RECIPES[name].after if name in RECIPES else ""
        if needed and needed not in every:
            problems.append(f"{name}: needs {needed}, which is neither trained nor given")
    if problems:
        lines = "\n  ".join(f"scales.{scale}: {problem}" for problem in problems)
        raise ConfigError(f"params.yaml needs mending:\n  {lines}")


def network_files(scale: str, models: Models, *, baselines: bool) -> list[str]:
    """Files of the networks of a scale that its thresholds depend on, or that are measured beside it."""
    every = {*models.recipes, *models.given}
    recipes = [recipe for name, recipe in RECIPES.items() if name in every and recipe != DEEP]
    chosen = [recipe for recipe in recipes if baselines or not _is_baseline(recipe)]
    files = [f"{_folder(scale, recipe)}/{file}" for recipe in chosen for file in (WEIGHTS, SETTINGS)]
    return files + ([f"models/{scale}/{layout.CLASS_PRIOR.as_posix()}"] if CLASS_PRIOR in every else [])


def training_items(scale: str, models: Models) -> dict[str, dict[str, str]]:
    """Items of the stage `train`, by recipe."""
    return {name: _item(scale, RECIPES[name]) for name in RECIPES if name in models.recipes}


def _item(scale: str, recipe: Recipe) -> dict[str, str]:
    after = RECIPES.get(recipe.after)
    return {
        "block": recipe.block,
        "model": _folder(scale, recipe),
        "after": f"{_folder(scale, after)}/{WEIGHTS}" if after else f"artifacts/{scale}/scenes",
        "name": recipe.stage,
        "epochs": recipe.stage.replace("train", "epochs"),
        # the second stage is trained on non-lenses in a survey's shares
        "also": "survey" if recipe in (DEEP, SECOND_STAGE) else "simulate",
    }


def _folder(scale: str, recipe: Recipe) -> str:
    return f"models/{scale}/{recipe.folder}".rstrip("/")


def _is_baseline(recipe: Recipe) -> bool:
    return recipe.folder.startswith(f"{layout.BASELINES}/")


def _fit(name: str, stage: dict, scale: str, models: Models, params: Mapping) -> None:
    """Fit a stage to a scale, in place: its networks, its settings, its folder, and what is cached."""
    if name == "train":
        stage["foreach"] = training_items(scale, models)
    if name == "class-prior":
        stage["foreach"] = [CLASS_PRIOR] if CLASS_PRIOR in models.recipes else []
    body = stage.get("do", stage)
    if scale != QUICK:
        body["wdir"] = UP
        # DVC would put the path before the name of every metric if two files had the same names
        outs = body["outs"] + body.pop("metrics", [])
        body["outs"] = [out if isinstance(out, dict) else {out: {"cache": False}} for out in outs]
    if "params" in body and "foreach" not in stage:
        body["params"] = list(_settings(body["params"], scale, params))
    deps = body.get("deps", [])
    networks = [dep for dep in deps if dep.startswith(f"models/{scale}/") and not dep.endswith("points.json")]
    if networks and name not in (*FIRST_STAGE_ONLY, "class-prior"):
        at = deps.index(networks[0])
        others = [dep for dep in deps if dep not in networks]
        others[at:at] = network_files(scale, models, baselines=name in WITH_BASELINES)
        body["deps"] = others


def _settings(named: list[str], scale: str, params: Mapping) -> Iterator[str]:
    """Blocks that a stage depends on, each followed by what differs from it at the scale."""
    for block in named:
        if block.startswith("scales."):
            continue
        yield block
        if block in params["scales"][scale]:
            yield f"scales.{scale}.{block}"


def written(scale: str, root: Path = Path()) -> str:
    """Text of the file of a scale other than the quick one."""
    document, params = _read(root)
    return HEADER.format(scale=scale) + yaml.safe_dump(pipeline_of(scale, document, params), sort_keys=False, width=124)


def _read(root: Path) -> tuple[dict, dict]:
    """Contents of dvc.yaml and of params.yaml."""
    document, params = (yaml.safe_load((root / name).read_text()) for name in ("dvc.yaml", "params.yaml"))
    return document, params


def problems(root: Path = Path()) -> list[str]:
    """DVC files that differ from what dvc.yaml and params.yaml give, each with the remedy."""
    document, params = _read(root)
    found = []
    for scale in config.scales(root / "params.yaml"):
        file = file_of(scale, root)
        if scale == QUICK:
            wanted = pipeline_of(scale, document, params)["stages"]
            parts = (name for name, stage in wanted.items() if stage != document["stages"].get(name))
            found += [f"{file}: the stage {name} should be\n{yaml.safe_dump(wanted[name])}" for name in parts]
        elif not file.is_file() or file.read_text() != written(scale, root):
            found.append(f"{file}: not made from dvc.yaml and params.yaml; run `lensdream params --write`")
    return found
