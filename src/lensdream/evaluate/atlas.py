"""False-positive atlas: pictures of the highest-scoring non-lenses, framed by family."""

from __future__ import annotations

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.colors import hsv_to_rgb, to_rgb
from matplotlib.patches import Patch

from lensdream.evaluate.stream import Highest
from lensdream.families import FAMILIES_NON_LENS
from lensdream.plots import composite

matplotlib.use("Agg")

COLUMNS = 10
FIRST_COLOURS = (*plt.get_cmap("tab10").colors, to_rgb("gold"), to_rgb("black"))
NEXT_HUE = 0.618034
"""step around the circle of hues from each further colour to the next: the golden section comes back to none of them soon"""
PANEL, TITLE, LEGEND, SIDE = 1.16, 0.2, 0.45, 0.05
"""side of a stamp with its gap, room for its title, for the legend, margin [inch]"""
DPI = 120
FRAME = 2.5
"""width of a frame [point]"""


def colour(number: int) -> tuple[float, float, float]:
    """Colour of the family of this number, counted from 0."""
    if number < len(FIRST_COLOURS):
        return FIRST_COLOURS[number]
    return tuple(hsv_to_rgb((NEXT_HUE * number % 1, 1.0, 0.6)).tolist())


COLOURS = {family: colour(number) for number, family in enumerate(FAMILIES_NON_LENS)}
"""colours of the frames by family"""


def draw(highest: Highest) -> plt.Figure:
    """Draw the stamps in the order of their logits, each framed in the colour of its family, with family and logit."""
    families = highest.rows["family"]
    columns, n_rows = min(COLUMNS, len(families)), -(-len(families) // COLUMNS)
    width, height = max(columns, 4) * PANEL + 2 * SIDE, n_rows * (PANEL + TITLE) + LEGEND + SIDE
    figure = plt.figure(figsize=(width, height), dpi=DPI)
    for k, (image, family, logit) in enumerate(zip(highest.images, families, highest.rows["logit"], strict=True)):
        row, column = divmod(k, COLUMNS)
        left, bottom = SIDE + column * PANEL, height - LEGEND - (row + 1) * (PANEL + TITLE)
        side = PANEL - 0.1
        axes = figure.add_axes(((left + 0.05) / width, (bottom + 0.05) / height, side / width, side / height))
        composite.draw(axes, image)
        axes.set_title(f"{family.replace('_', ' ')} {logit:.1f}", fontsize=7, pad=3)
        for spine in axes.spines.values():
            spine.set(edgecolor=COLOURS[family], linewidth=FRAME)
    numbers = families.value_counts()
    patches = [Patch(color=COLOURS[name], label=f"{name.replace('_', ' ')} ({n})") for name, n in numbers.items()]
    figure.legend(handles=patches, loc="upper center", ncols=min(len(patches), 6), fontsize=8, frameon=False)
    return figure
