"""Score a cutout: how likely it is a lens.

New in this one:
- lensdream.read_cutout: a FITS file in the layout of Euclid's cutouts
- lensdream.Finder: a trained finder; score: logits, probabilities, thresholds
- lensdream.cutouts.export.write_cutout: an image as such a file

Run from the repository's root: python docs/tutorial/2_score_your_cutout.py [folder of the figure] [your cutout.fits]
"""

import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

from lensdream import Finder, Lens, read_cutout, simulate
from lensdream.cutouts.export import write_cutout
from lensdream.plots.composite import draw

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
if len(sys.argv) > 2:
    path = Path(sys.argv[2])
else:  # without one of yours, a simulated one
    path = folder / "lens.fits"
    write_cutout(path, simulate(Lens(theta_E=1.2)), "a simulated lens")

finder = Finder.load("models/poster")
cutout = read_cutout(path, finder.stamp)
print(f"{cutout.object}: {', '.join(cutout.flags) or 'nothing is missing'}")

# One cutout or many; an array (4, 80, 80) or (n, 4, 80, 80) [microjansky a pixel] will do as well.
scores = finder.score([cutout])
print(f"logit {scores.logit[0]:.2f}, probability {scores.probability[0]:.3f} if lenses were as many as non-lenses")
for rate, above in scores.above.items():
    print(f"above the threshold of {rate}: {above[0]}")

figure, axes = plt.subplots(figsize=(3.2, 3.4))
draw(axes, cutout.image, f"logit {scores.logit[0]:.2f}")
figure.savefig(folder / "score.png")
print(f"figure: {folder / 'score.png'}")
