"""Finder behind MLflow's generic interface: `mlflow.pyfunc.load_model` and `mlflow models serve` load it by this module.

A logged model holds weights, settings and operating points; the code is the installed package, nothing is unpickled.
Registered models name this module: it keeps its name.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch

from lensdream.finder.finder import Finder


class TablePredictor:
    """A finder with MLflow's interface: arrays in, a table out."""

    def __init__(self, finder: Finder) -> None:
        self.finder = finder

    def predict(self, images: np.ndarray, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Score images (n, band, y, x) [microjansky a pixel], bands in the order VIS Y J H.

        Returns a row an image: `logit`, the calibrated `probability`, `above_fpr_1e-3`, null for a model that was not
        evaluated and for an image with pixels that are no numbers, and `compound_probability`. `params` is MLflow's and not
        used. Raises `ValueError` for images of another shape than the model takes.
        """
        pixels = np.asarray(images, np.float32)
        self.finder.refuse_shape(pixels)
        scores = self.finder.scores(torch.from_numpy(pixels))
        hits = scores.above.get("fpr_1e-3")
        above = pd.array([None] * len(scores) if hits is None else hits, dtype="boolean")
        above[np.isnan(scores.logit)] = pd.NA
        return pd.DataFrame(
            {
                "logit": scores.logit.astype(float),
                "probability": scores.probability,
                "above_fpr_1e-3": above,
                "compound_probability": scores.compound_probability,
            }
        )


def _load_pyfunc(data_path: str) -> TablePredictor:
    """Open the finder in a model folder; MLflow calls this by name."""
    return TablePredictor(Finder.load(data_path))
