"""A finder with random weights, and cutout files for it to score."""

import numpy as np
import pandas as pd
import torch

from lensdream.commands.score import score_files
from lensdream.cutouts.export import write_cutout
from lensdream.finder import operating_points
from lensdream.finder.operating_points import OperatingPoints
from lensdream.instrument import EUCLID
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.model_file import save_model

STAMP = 32
POINTS = OperatingPoints({"fpr_1e-2": -5.0, "fpr_1e-3": 0.0}, 2.0)


def write(path, seed=0, side=34):
    sky = np.array(EUCLID.sky_sigma)[:, None, None]
    write_cutout(path, np.random.default_rng(seed).normal(0, 5, (4, side, side)) * sky, f"object {seed}")
    return path


def save_tiny_finder(folder):
    """Save a model with random weights whose logits spread around the threshold."""
    torch.manual_seed(0)
    network = LensNet(LensNetConfig(width=4))
    with torch.no_grad():
        network.head.weight.mul_(100)
    network.eval()
    save_model(folder, network, STAMP)
    operating_points.write(folder, POINTS)
    return folder


def scored(files, model, **settings):
    """Table of the command."""
    score_files([str(path) for path in files], model.parent / "scored.parquet", str(model), **settings)
    return pd.read_parquet(model.parent / "scored.parquet")
