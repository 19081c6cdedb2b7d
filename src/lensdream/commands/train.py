"""`lensdream train`: train a network of `train.recipes` at a scale, and record model, curves and metrics."""

from __future__ import annotations

from pathlib import Path

from lensdream.commands import compound_job, labelled_job, second_stage_job
from lensdream.commands.paths import Paths
from lensdream.commands.timings import Clock
from lensdream.commands.training import tracked
from lensdream.networks.layout import is_model
from lensdream.train.recipes import COMPOUND, DEEP, RECIPES, SECOND_STAGE, Recipe, recipe_of


def run(scale: str, recipe: str = "lensnet", root: Path = Path()) -> None:
    """Train a network of `RECIPES` at a scale; writes its model, its curves and the metrics of its stage.

    Training images of LensNet and the baselines are the store's (`images` of them) or `fresh_scenes` new ones an epoch; those
    of the second stage and of the compound classifier are theirs alone. Validation images are the store's. Raises
    `FileNotFoundError` without the weights that the training needs.
    """
    clock, chosen, paths = Clock(), recipe_of(recipe), Paths(scale, root)
    require_weights(chosen, paths)
    if chosen == COMPOUND:
        tracked(*compound_job.prepared(paths), clock=clock)
    elif chosen in (DEEP, SECOND_STAGE):
        tracked(*second_stage_job.prepared(chosen, paths), clock=clock)
    else:
        labelled_job.train_on_labelled_images(chosen, paths, clock)


def require_weights(recipe: Recipe, paths: Paths) -> None:
    """Raise `FileNotFoundError` where the network that a training starts from or needs is not there."""
    if recipe.after and not is_model(folder := paths.model / RECIPES[recipe.after].folder):
        needed = RECIPES[recipe.after]
        raise FileNotFoundError(
            f"no {needed.title} in {folder}: run `lensdream train --scale {paths.scale} --recipe {needed.block}` first"
        )
