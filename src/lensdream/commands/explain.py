"""`lensdream explain`: maps of what supports 'lens', of a scale's simulated scenes or of a user's FITS cutouts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def run(
    scale: str | None, paths: Sequence[str], out: str, model: str | None, window: int, stride: int, root: Path = Path()
) -> int | None:
    """Study the scenes of a scale, or explain cutouts; returns the exit code of the latter."""
    if scale is not None:
        from lensdream.commands import explain_study

        return explain_study.run(scale, root)
    from lensdream.commands.explain_files import explain_files

    return explain_files(paths, Path(out), model, window=window, stride=stride, root=root)
