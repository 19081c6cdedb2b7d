"""A trained network ready to score images, with the thresholds that were measured."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from torch import nn

from lensdream.evaluate.operating_points import FILE as OPERATING_POINTS
from lensdream.evaluate.operating_points import SHARES
from lensdream.evaluate.operating_points import SURVEY_FILE as SURVEY_POINTS
from lensdream.networks import SecondLooks, load_finder
from lensdream.networks.model_file import digest_of, stamp_of

REMEASURE = "run the survey-test stage again"


class ModelError(ValueError):
    """A model's folder that cannot be used, with the remedy."""


@dataclass(frozen=True)
class OperatingPoints:
    """Logit thresholds by false-positive rate, and the temperature of the probabilities."""

    thresholds: Mapping[str, float] = field(default_factory=dict)
    """`fpr_1e-3` and so on to the logit above which an image counts as a lens; empty before the evaluate stage"""
    temperature: float = 1.0
    """probability = sigmoid(logit / temperature)"""
    shares: Mapping[str, float] | None = None
    """of the kinds of a survey's non-lenses, which the thresholds' logits are for; None for those of training"""

    @classmethod
    def load(cls, model_folder: Path) -> OperatingPoints:
        """Read `operating_points.json`, and `survey_points.json` whose thresholds come before its, or in their place.

        Without these files none are known and the temperature is 1. Raises `ModelError` for a file that does not hold
        numbers or has a temperature that is not positive.
        """
        values: dict[str, float] = {}
        shares: dict[str, float] | None = None
        prefix = "threshold_"
        for path in (model_folder / OPERATING_POINTS, model_folder / SURVEY_POINTS):
            if not path.is_file():
                continue
            try:
                found = json.loads(path.read_text())
                if SHARES in found:
                    shares = {name: float(value) for name, value in found.pop(SHARES).items()}
                    # thresholds of the test mix are on other logits
                    values = {name: value for name, value in values.items() if not name.startswith(prefix)}
                values |= {name: float(value) for name, value in found.items()}
            except (ValueError, TypeError, AttributeError) as error:
                raise ModelError(
                    f"{path} must hold names and numbers ({error}): run the evaluate stage again"
                ) from None
        temperature = values.get("temperature", 1.0)
        if not (math.isfinite(temperature) and temperature > 0):
            raise ModelError(
                f"{model_folder / OPERATING_POINTS}: temperature is {temperature}, it must be positive: run the evaluate "
                "stage again"
            )
        if shares is not None and not (min(shares.values(), default=-1) >= 0 and 0 < sum(shares.values()) < math.inf):
            raise ModelError(f"{model_folder / SURVEY_POINTS}: shares are {shares}, they must be positive: {REMEASURE}")
        thresholds = {
            name.removeprefix(prefix): value
            for name, value in values.items()
            if name.startswith(prefix) and not math.isnan(value)
        }
        return cls(thresholds, temperature, shares)

    def above(self, logit: float, rate: str) -> bool | None:
        """Whether a logit lies above the threshold of a rate such as `fpr_1e-3`; None where it is not known."""
        threshold = self.thresholds.get(rate)
        return None if threshold is None else bool(logit > threshold)

    def probability(self, logits: np.ndarray) -> np.ndarray:
        """Calibrated probabilities of being a lens, the shape of `logits`."""
        return 1.0 / (1.0 + np.exp(-np.clip(np.asarray(logits, float) / self.temperature, -700, 700)))


@dataclass(frozen=True)
class Scorer:
    """A network and what its logits mean."""

    network: SecondLooks
    """with second looks"""
    stamp: int
    """side of the images it takes [pixel]"""
    points: OperatingPoints
    device: torch.device
    digest: str
    """of the weights"""

    @property
    def first_look(self) -> nn.Module:
        """The trained network itself, which explanations are of."""
        return self.network.network

    @classmethod
    def load(cls, model_folder: Path) -> Scorer:
        """Load a model's folder, onto a GPU if there is one; raises `ModelError` with the remedy."""
        points = OperatingPoints.load(model_folder)
        try:
            network, stamp, digest = (
                load_finder(model_folder, shares=points.shares),
                stamp_of(model_folder),
                digest_of(model_folder),
            )
        except FileNotFoundError as error:
            raise ModelError(str(error)) from None
        except (ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            # The first line only: torch lists every weight that differs.
            reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(":")
            raise ModelError(f"the model in {model_folder} cannot be used ({reason}): train it again") from None
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        # Channels last: a third faster on a CPU.
        network = network.to(device, memory_format=torch.channels_last).eval()
        return cls(network, stamp, points, device, digest)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """(n, band, stamp, stamp) float32 [microjansky a pixel] -> (n,) float64 lens logits."""
        with torch.inference_mode():
            batch = torch.from_numpy(images).to(self.device)
            return self.network(batch.contiguous(memory_format=torch.channels_last)).double().cpu().numpy()
