"""Draw a compound lens, two sources behind one deflector, and ask which it is: compound or single.

New in this one:
- Lens(second_source=...): light traced through two lens planes
- Scenes.without: the same scene, one role left out
- Scores.compound_probability: that a lens has two sources

Run from the repository's root: python docs/tutorial/6_compound_lens.py [folder of the figure]
"""

import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

from lensdream import Finder, Lens, Renderer, Sersic
from lensdream.plots.composite import draw
from lensdream.scene import Role

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
lens = Lens(
    theta_E=0.8,
    z_source=1.0,
    source=Sersic(magnitude=(23.6, 23.5, 23.4, 23.3), r_e=0.12, q=0.7, phi=1.0, x=0.1, y=0.05),
    second_source=Sersic(magnitude=(24.0, 23.6, 23.3, 23.0), r_e=0.12, x=0.15, y=0.05),
    z_source_2=4.0,  # so the deflector's Einstein radius for it is larger; theta_E_2 would set it
    theta_E_12=0.1,  # the first source is a lens for the second one, too
)
compound = lens.scene(seed=1)
single = compound.without({Role.SOURCE_2})
print(f"theta_E {lens.theta_E} arcsec for source 1, {compound.scenes['theta_E_2'].item():.2f} arcsec for source 2")

renderer, finder = Renderer(), Finder.load("models/poster")
figure, axes = plt.subplots(1, 2, figsize=(6, 3.2))
for axis, name, scene in zip(axes, ("compound", "single"), (compound, single), strict=True):
    image = renderer.render(scene).images[0].numpy()
    scores = finder.score(image)
    chance = f"{scores.compound_probability[0]:.2f}"
    print(f"{name}: lens logit {scores.logit[0]:.2f}, probability of two sources {chance}")
    draw(axis, image, f"{name}: {chance}")
figure.savefig(folder / "compound.png")
print(f"figure: {folder / 'compound.png'}")
