"""Simulate one lens: four bands, as Euclid would see it.

New in this one:
- lensdream.Lens, lensdream.Sersic: a lens and the light of its galaxies
- lensdream.simulate: its image
- Lens.scene, lensdream.Renderer: the truth behind the image
- lensdream.plots.composite: a colour picture

Run from the repository's root: python docs/tutorial/1_simulate_one_lens.py [folder of the figure]
"""

import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

from lensdream import Band, Lens, Renderer, Sersic, simulate
from lensdream.plots.composite import draw

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())

# A massive elliptical galaxy and a blue galaxy behind it, 0.35 arcsec off the axis. Lens() alone is such a lens, too.
source = Sersic(magnitude=(23.6, 23.5, 23.4, 23.3), r_e=0.12, q=0.7, x=0.3, y=0.18)
lens = Lens(theta_E=1.2, q=0.75, shear=(0.03, -0.02), z_lens=0.5, z_source=2.0, source=source)
image = simulate(lens, seed=1)
print(
    f"image {image.shape} {image.dtype}, VIS light {image[Band.VIS].sum():.1f} microjansky, sigma {lens.sigma:.0f} km/s"
)

# The same scene as a table of one row, and what of it is light of the arcs.
rendered = Renderer().render(lens.scene(seed=1))
target, arcs, _ = rendered.truth[0].numpy()
print(f"VIS light of the deflector {target.sum():.1f}, of the arcs {arcs.sum():.2f} microjansky")

figure, axes = plt.subplots(1, 3, figsize=(9, 3.2))
draw(axes[0], image, "with noise")
draw(axes[1], simulate(lens, noise=False), "without")
axes[2].imshow(arcs, origin="lower")
axes[2].set_title("the arcs alone, VIS", fontsize="small")
figure.savefig(folder / "one_lens.png")
print(f"figure: {folder / 'one_lens.png'}")
