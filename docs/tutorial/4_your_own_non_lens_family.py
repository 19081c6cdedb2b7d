"""Draw a family of non-lenses of your own: here galaxies with a red companion right beside them.

New in this one:
- lensdream.population.catalogs.draw_catalogs: galaxies and deflectors to pick from, by SkyPy
- lensdream.population.builder: a scene put together from components
- lensdream.Scenes -> lensdream.Renderer: many scenes at once

CONTRIBUTING.md has what makes it a family of the package: its name, its share, its place in the tables.
Run from the repository's root: python docs/tutorial/4_your_own_non_lens_family.py [folder of the figure]
"""

import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from lensdream import Renderer
from lensdream.families import COMPANION, TEST
from lensdream.plots.composite import draw
from lensdream.population.builder import SceneBuilder, add_galaxy, empty_scene, to_table
from lensdream.population.catalogs import Catalogs, draw_catalogs
from lensdream.scene import Role

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())


def red_companion(catalogs: Catalogs, split: str, rng: np.random.Generator) -> SceneBuilder:
    """A deflector with another one, 0.8 to 1.5 arcsec away: no lens, label 0."""
    builder = empty_scene(COMPANION, 0, split, rng)
    distance, angle = rng.uniform(0.8, 1.5), rng.uniform(0, 2 * np.pi)
    for x, y in ((0.0, 0.0), (distance * np.cos(angle), distance * np.sin(angle))):
        galaxy = catalogs.deflector(int(rng.integers(len(catalogs.deflectors))))
        add_galaxy(builder, Role.TARGET, galaxy | {"red": True}, x, y, rng)
    return builder


catalogs = draw_catalogs(seed=3, sky_area=0.02, magnitude_limit=27.0, n_deflectors=20_000)
rng = np.random.default_rng(1)
scenes = to_table([red_companion(catalogs, TEST, rng) for _ in range(8)])
images = Renderer().render(scenes).images.numpy()
print(f"{len(scenes)} scenes of {len(scenes.components)} components, images {images.shape}")

figure, axes = plt.subplots(2, 4, figsize=(9, 4.8))
for axis, image in zip(axes.flat, images, strict=True):
    draw(axis, image)
figure.savefig(folder / "family.png")
print(f"figure: {folder / 'family.png'}")
