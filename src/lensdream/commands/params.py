"""`lensdream params`: check or write what follows from the settings: comments of params.yaml, and DVC's files of the scales."""

from __future__ import annotations

from pathlib import Path

from lensdream import config
from lensdream.commands import dvc_files
from lensdream.config.comments import Block, block_of, commented
from lensdream.runtime.files import write_whole
from lensdream.train.recipes import RECIPES


def run(root: Path = Path(), *, write: bool = False) -> int:
    """Check every block at every scale, and check or write comments and DVC's files; returns 1 for files out of date."""
    params, known = root / "params.yaml", blocks()
    scales = config.scales(params, known)
    for scale in scales:
        for name, block in known.items():
            config.load(name, block.settings, scale, params)
    wanted = commented(params.read_text(), known)
    if write:
        _write(params, wanted)
        for scale in (name for name in scales if name != dvc_files.QUICK):
            _write(dvc_files.file_of(scale, root), dvc_files.written(scale, root))
    problems = dvc_files.problems(root)
    if params.read_text() != wanted:
        problems.insert(0, f"{params}: the comments are not those of the settings; run `lensdream params --write`")
    if problems:
        print("\n".join(problems))
        return 1
    print(
        f"{params}: the settings are sound at the scales {', '.join(scales)}, comments and DVC's files are up to date"
    )
    return 0


def _write(path: Path, text: str) -> None:
    """Write a file whose text differs."""
    if not path.is_file() or path.read_text() != text:
        write_whole(path, text.encode())
        print(f"{path}: written")


def blocks() -> dict[str, Block]:
    """Blocks of params.yaml by name."""
    trained = {recipe.block: block_of(recipe.settings_type(), recipe.text) for recipe in RECIPES.values()}
    return {name: block_of(settings) for name, settings in config.BLOCKS.items()} | trained
