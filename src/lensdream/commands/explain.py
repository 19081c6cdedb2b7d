"""`lensdream explain`: maps of the pixels that support 'lens', in a user's FITS cutouts or in simulated test scenes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def run(
    scale: str | None, paths: Sequence[str], out: str, model: str | None, window: int, stride: int, root: Path = Path()
) -> int | None:
    """Explain the test scenes of a scale, or cutouts; returns an exit code for cutouts."""
    if scale is not None:
        from lensdream.commands import explain_study

        return explain_study.run(scale, root)
    from lensdream.commands.explain_files import explain_files

    return explain_files(paths, Path(out), model, window=window, stride=stride, root=root)
