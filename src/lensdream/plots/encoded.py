"""Figures as the bytes of picture files."""

from __future__ import annotations

import io

from matplotlib.figure import Figure

QUALITY = 85
"""of JPEG: pictures of many noisy images come to a quarter of their PNG, and look the same. A palette of 256 colours would
halve the PNG and draw contours around bright galaxies"""


def png(figure: Figure, dpi: float | None = None) -> bytes:
    """PNG file of a figure, at its own resolution or at `dpi`."""
    return _saved(figure, "png", dpi, {"optimize": True})


def jpeg(figure: Figure) -> bytes:
    """JPEG file of a figure, for pictures of many images."""
    return _saved(figure, "jpeg", None, {"quality": QUALITY, "optimize": True, "progressive": True})


def _saved(figure: Figure, kind: str, dpi: float | None, settings: dict[str, object]) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=dpi or "figure", pil_kwargs=settings)
    return buffer.getvalue()
