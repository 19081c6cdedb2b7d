"""`lensdream params`: check or write the comments of params.yaml, which come from the settings."""

from __future__ import annotations

from pathlib import Path

import yaml

from lensdream import config
from lensdream.config.comments import Block, block_of, commented
from lensdream.runtime.files import write_whole
from lensdream.train.recipes import RECIPES


def run(root: Path = Path(), *, write: bool = False) -> int:
    """Check every block at every scale, and check or write the comments; returns 1 for comments out of date."""
    params, known = root / "params.yaml", blocks()
    scales = config.scales(params, known)
    for scale in scales:
        for name, block in known.items():
            config.load(name, block.settings, scale, params)
    text = params.read_text()
    wanted = commented(text, known)
    if text == wanted:
        print(f"{params}: the comments are up to date, the settings are sound at the scales {', '.join(scales)}")
        return 0
    if write:
        write_whole(params, wanted.encode())
        print(f"{params}: comments written")
        return 0
    print(f"{params}: the comments are not those of the settings; run `lensdream params --write`")
    return 1


def blocks() -> dict[str, Block]:
    """Blocks of params.yaml by name."""
    trained = {recipe.block: block_of(recipe.settings_type(), recipe.text) for recipe in RECIPES.values()}
    return {name: block_of(settings) for name, settings in config.BLOCKS.items()} | trained
