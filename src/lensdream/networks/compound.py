"""Compound classifier of a finder: separates lenses with two sources from those with one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from scipy.special import expit
from torch import nn

from lensdream.networks.cascade import Cascade
from lensdream.networks.layout import COMPOUND, is_model, training_odds_of
from lensdream.networks.model_file import load_model

GATE_THRESHOLD = -1.0
"""logit of the classifier's first orientation below which the other seven are left out: its thresholds lie well above"""
TRAINING_ODDS = 1 / 3
"""odds of compound to single lenses in trainings of the first edition, whose files lack them"""
PREVALENCE = 0.01
"""share of compound lenses among the lenses of a survey, where nothing else is said"""


class CompoundClassifier(Cascade):
    """Compound logits (B,) of images of lenses (B, band, y, x) [microjansky a pixel]."""

    def __init__(self, network: nn.Module, training_odds: float = TRAINING_ODDS) -> None:
        """Take a network, and the compound lenses for every single lens in its training."""
        super().__init__(network, gate=GATE_THRESHOLD)
        self.training_odds = training_odds

    @classmethod
    def load(cls, model: Path) -> CompoundClassifier:
        """Read the classifier of a model folder; raises `FileNotFoundError` where there is none."""
        folder = model / COMPOUND
        if not is_model(folder):
            raise FileNotFoundError(
                f"no compound classifier in {folder}: run `lensdream train --recipe compound_classifier`"
            )
        classifier = cls(load_model(folder), training_odds_of(folder) or TRAINING_ODDS)
        return classifier.to(memory_format=torch.channels_last).eval()


def compound_probability(logits: np.ndarray, training_odds: float, prevalence: float) -> np.ndarray:
    """Probability that a lens is compound, where a share `prevalence` of all lenses is.

    Parameters
    ----------
    logits : ndarray
        Compound logits; NaN stays NaN.
    training_odds : float
        Compound lenses for every single lens in the classifier's training.
    prevalence : float
        In (0, 1); else `ValueError` is raised.

    Notes
    -----
    Bayes' rule: the odds of training are replaced by those of the survey.

    """
    if not 0 < prevalence < 1:
        raise ValueError(f"the prevalence of compound lenses is {prevalence}, it must lie between 0 and 1")
    shifted = np.asarray(logits, float) + np.log(prevalence / (1 - prevalence)) - np.log(training_odds)
    return expit(shifted)
