"""Train a network of your own: a small LensNet, on scenes drawn for it.

New in this one:
- lensdream.draw_scenes, lensdream.config.PopulationConfig: scenes of all families, lenses and non-lenses
- lensdream.LensNet, lensdream.fit, lensdream.config.Fit: the network and its training
- lensdream.metrics: numbers with intervals

Two epochs of 200 images teach a network little: the pipeline's 26 of 130,000 take hours (make poster).
Run from the repository's root: python docs/tutorial/5_train_a_network.py [folder of the figure]
"""

import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

from lensdream import LensNet, Renderer, draw_scenes, fit, metrics
from lensdream.config import Fit, LensNetConfig, PopulationConfig
from lensdream.dataset.labelled import LabelledImages
from lensdream.networks.predict import predict

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
nothing_else = dict.fromkeys(("undetectable", "compound_arc", "double_ring", "faint_second"), 0)
nothing_else |= dict.fromkeys(("compound_arc_train", "double_ring_train"), 0)
scenes = draw_scenes(PopulationConfig(sky_area=0.02, train=200, validation=60, test=100, **nothing_else))
renderer, images = Renderer(), {}
for split in ("train", "validation", "test"):
    some = scenes.take(np.flatnonzero(scenes.scenes["split"] == split))
    labels = torch.tensor(some.scenes["label"].to_numpy(np.float32))
    images[split] = LabelledImages(renderer.render(some).images.half(), labels)

settings = Fit(epochs=2, batch_size=16, learning_rate=0.005, averaging=0.9)
result = fit(lambda: LensNet(LensNetConfig(width=16)), settings, images["train"], images["validation"])
for record in result.records:
    accuracies = f"{record.train_accuracy:.3f}, of validation {record.validation_accuracy:.3f}"
    print(f"epoch {record.epoch}: accuracy of training images {accuracies}")

logits, labels = predict(result.model, images["test"].images).numpy(), images["test"].labels.numpy()
auroc = metrics.bootstrap(metrics.auroc, logits, labels, 200, np.random.default_rng(1))
print(f"test AUROC {auroc['value']:.3f} ({auroc['low']:.3f} to {auroc['high']:.3f})")

figure, axes = plt.subplots(figsize=(4, 3))
axes.hist([logits[labels == 1], logits[labels == 0]], bins=20, label=["lenses", "non-lenses"])
axes.set_xlabel("logit")
axes.legend()
figure.savefig(folder / "logits.png")
print(f"figure: {folder / 'logits.png'}")
