"""The model behind MLflow's generic interface: `mlflow.pyfunc.load_model` and `mlflow models serve` load it by this.

A logged model holds weights, settings and operating points; the code is the installed package, nothing is unpickled.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lensdream.finder.finder import Scorer


class TableScorer:
    """A scorer that takes arrays and returns a table."""

    def __init__(self, scorer: Scorer) -> None:
        """`scorer`: the network and its operating points."""
        self.scorer = scorer

    def predict(self, images: np.ndarray, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Score images (n, band, y, x) [microjansky a pixel], bands in the order VIS Y J H.

        Returns a row an image: `logit`, the calibrated `probability`, and `above_fpr_1e-3`, null for a model that was
        not evaluated and for an image that holds what is no number. `params` is MLflow's and not used. Raises `ValueError`
        for images of another shape than the model takes.
        """
        logits = self.scorer.logits(images)
        above = pd.array([self.scorer.points.above(logit, "fpr_1e-3") for logit in logits], dtype="boolean")
        probability = self.scorer.points.probability(logits)
        return pd.DataFrame({"logit": logits, "probability": probability, "above_fpr_1e-3": above})


def _load_pyfunc(data_path: str) -> TableScorer:
    """Open the model in a folder of `model.safetensors` and `model.json`; MLflow calls this by name."""
    return TableScorer(Scorer.load(Path(data_path)))
