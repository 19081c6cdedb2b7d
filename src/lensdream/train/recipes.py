"""Recipes of the trainings: network, settings, folder of the model, what must be trained before. Imports nothing heavy.

A network joins by a row of `RECIPES` and a module of `lensdream.networks` that has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lensdream import config
from lensdream.config import Training

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Recipe:
    """A network and its training."""

    title: str
    """name in figures"""
    stage: str
    """name of the metrics, figures, checkpoint and run"""
    folder: str
    """folder of the model, within `models/<scale>`"""
    block: str
    """block of the settings in `params.yaml`, and name of the recipe"""
    network: str
    """name of the network's class"""
    text: str = ""
    """text of the block in `params.yaml`"""
    after: str = ""
    """recipe whose weights the training needs"""

    def settings_type(self) -> type:
        """Dataclass of the training's settings."""
        from lensdream.networks.registry import networks

        return config.BLOCKS.get(self.block) or Training[networks()[self.network].settings]

    def read_settings(self, scale: str, params: Path) -> Any:  # noqa: ANN401 - of `settings_type`
        """Read the training's settings at a scale."""
        return config.load(self.block, self.settings_type(), scale, params)

    def build(self, shape: object) -> nn.Module:
        """Build the network of this shape, with random weights."""
        from lensdream.networks.registry import networks

        return networks()[self.network].network(shape)


LENSNET = Recipe("LensNet", "train", "", "lensnet", "LensNet", "Training of LensNet, the first stage.")
OU66 = Recipe(
    "OU-66", "train-ou66", "peers/ou66", "ou66", "OU66",
    "OU-66 of Wilde et al. 2022, by their recipe, but for batches and epochs: Adam at a constant learning rate, batches of "
    "500, 150 epochs of 60,000 images, 18,000 steps. A step costs by the image: small batches make up for part of the epochs "
    "that take too long. 2,500 steps at the quick scale, 18,200 at the poster's.",
)  # fmt: skip
DEEP = Recipe("DeepLensNet", "train-deep", "deep", "deep", "DeepLensNet", after="lensnet")
"""trained on images that pass the gate of the first stage only"""
SECOND_STAGE = Recipe("second stage", "train-second", "second", "second_stage", "DeepLensNet", after="deep")
"""fine-tuned from the weights of `DEEP`"""
COMPOUND = Recipe(
    "LensNet, compound against single lenses",
    "train-compound",
    "compound",
    "compound_classifier",
    "LensNet",
    after="lensnet",
)
"""starts from the weights of the first stage"""

RECIPES = {recipe.block: recipe for recipe in (LENSNET, OU66, DEEP, SECOND_STAGE, COMPOUND)}
"""recipes by the name that the command line, `params.yaml` and dvc.yaml use; each after those that it needs"""

CLASS_PRIOR = "class_prior"
"""block of the class prior, which is fitted and no network"""


def blocks() -> list[str]:
    """Names of all blocks of `params.yaml`."""
    return list(dict.fromkeys([*config.BLOCKS, *RECIPES]))


def recipe_of(name: str) -> Recipe:
    """Look up a recipe by its name; raises `ValueError` that lists them all."""
    if name not in RECIPES:
        raise ValueError(f"no recipe {name!r}; recipes are {', '.join(RECIPES)}")
    return RECIPES[name]
