"""Explain a score: which pixels support 'lens', and what would make the image none.

New in this one:
- Finder.explain: maps of the network that decided; positive values support 'lens'
- Finder.dream: the image, changed step by step

Run from the repository's root: python docs/tutorial/3_explain.py [folder of the figure]
"""

import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from lensdream import Finder, Lens, simulate
from lensdream.explain.dream import Climb
from lensdream.plots.composite import draw

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
finder = Finder.load("models/poster")
image = simulate(Lens(theta_E=1.2))

# Squares of 8 pixels of the image are replaced with sky; the map has the logit that is lost.
maps = finder.explain(image, window=8, stride=6)
y, x = np.unravel_index(maps.sky.argmax(), maps.sky.shape)
print(f"logit {maps.logit:.2f}; most is lost, {maps.sky.max():.2f}, with the square at x = {x}, y = {y}")

dreamt, before, after = finder.dream(image, towards="non-lens", climb=Climb(steps=5))
print(f"dream: logit {before:.2f} -> {after:.2f}")

figure, axes = plt.subplots(1, 3, figsize=(9, 3.2))
draw(axes[0], image, f"logit {maps.logit:.2f}")
limit = np.abs(maps.sky).max()
axes[1].imshow(maps.sky, origin="lower", cmap="RdBu", vmin=-limit, vmax=limit)
axes[1].set_title("blue: supports 'lens'", fontsize="small")
draw(axes[2], dreamt, f"dreamt away, {after:.2f}")
figure.savefig(folder / "explain.png")
print(f"figure: {folder / 'explain.png'}")
