"""The thresholds and the temperature that travel with a model, and know which."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lensdream.metrics import probability, threshold_at_fpr
from lensdream.networks.model_file import digest_of
from lensdream.runtime.files import write_json

FILE = "operating_points.json"
"""of the test mix, by the evaluate stage"""
SURVEY_FILE = "survey_points.json"
"""of a survey's proportions, by the survey-test stage; what scores real cutouts takes these, where they are"""
STAGES = {FILE: "evaluate", SURVEY_FILE: "survey-test"}
GATE = "tpr_at_fpr_1e-2"
"""completeness that the champion of the registry is chosen by"""
RATES = {"1e-2": 1e-2, "1e-3": 1e-3, "1e-4": 1e-4}
THRESHOLD, TEMPERATURE, SHARES, WEIGHTS = "threshold_", "temperature", "shares", "weights_sha256"
"""keys of the files"""


class PointsError(ValueError):
    """A file that cannot be used, with the remedy."""


@dataclass(frozen=True)
class OperatingPoints:
    """Logit thresholds by false-positive rate, and the temperature of the probabilities."""

    thresholds: Mapping[str, float] = field(default_factory=dict)
    """`fpr_1e-3` and so on to the logit above which an image counts as a lens; of the rates that could be measured"""
    temperature: float = 1.0
    """probability = sigmoid(logit / temperature)"""
    shares: Mapping[str, float] | None = None
    """of the kinds of a survey's non-lenses, which the logits are for; None for those of training"""
    gate: float | None = None
    """what the champion is chosen by; of the test mix alone"""

    def above(self, logit: float, rate: str) -> bool | None:
        """Whether a logit lies above the threshold of a rate such as `fpr_1e-3`; None where either is not known."""
        threshold = self.thresholds.get(rate)
        return None if threshold is None or math.isnan(logit) else bool(logit > threshold)

    def probability(self, logits: np.ndarray) -> np.ndarray:
        """Calibrated probabilities of being a lens, the shape of `logits`."""
        return probability(logits, self.temperature)


def measurable(n_non_lenses: int, rates: Mapping[str, float] = RATES) -> dict[str, float]:
    """The rates that at least one of so many non-lenses stands for, by name."""
    return {name: rate for name, rate in rates.items() if rate * n_non_lenses >= 1 - 1e-9}


def at_rates(non_lens_logits: np.ndarray, rates: Mapping[str, float] = RATES) -> dict[str, float]:
    """Thresholds by `fpr_<rate>` from logits (N,); at a rate that is not measurable, the highest of them."""
    return {f"fpr_{name}": threshold_at_fpr(non_lens_logits, rate) for name, rate in rates.items()}


def write(folder: Path, points: OperatingPoints, file: str = FILE) -> None:
    """Write points beside the weights that they are of."""
    values = {f"{THRESHOLD}{name}": value for name, value in points.thresholds.items()}
    values[TEMPERATURE] = points.temperature
    values |= {} if points.gate is None or math.isnan(points.gate) else {GATE: points.gate}
    values |= {} if points.shares is None else {SHARES: dict(points.shares)}
    write_json(folder / file, values | {WEIGHTS: digest_of(folder)})


def read(folder: Path, file: str = FILE) -> OperatingPoints:
    """What `write` wrote.

    Raises `FileNotFoundError` where there is none, `PointsError` for a file that does not hold numbers, a temperature or
    shares that are not positive, and points of other weights than the folder's; all name the stage to run.
    """
    path, remedy = folder / file, f"run the {STAGES[file]} stage"
    if not path.is_file():
        raise FileNotFoundError(f"no {file} in {folder}: {remedy} for this model first")
    try:
        found = json.loads(path.read_text())
        weights = found.pop(WEIGHTS, None)
        shares = {name: float(value) for name, value in found.pop(SHARES).items()} if SHARES in found else None
        values = {name: float(value) for name, value in found.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise PointsError(f"{path} must hold names and numbers ({error}): {remedy} again") from None
    if weights != digest_of(folder):
        raise PointsError(f"{path} is of other weights than those in {folder}: {remedy} again")
    temperature = values.get(TEMPERATURE, 1.0)
    if not (math.isfinite(temperature) and temperature > 0):
        raise PointsError(f"{path}: {TEMPERATURE} is {temperature}, it must be positive: {remedy} again")
    if shares is not None and not (min(shares.values(), default=-1) >= 0 and 0 < sum(shares.values()) < math.inf):
        raise PointsError(f"{path}: {SHARES} are {shares}, they must be positive: {remedy} again")
    thresholds = {
        name.removeprefix(THRESHOLD): value
        for name, value in values.items()
        if name.startswith(THRESHOLD) and not math.isnan(value)
    }
    return OperatingPoints(thresholds, temperature, shares, values.get(GATE))


def read_best(folder: Path) -> OperatingPoints:
    """A survey's points where they were measured, else the test mix's, else none; raises `PointsError`."""
    for file in (SURVEY_FILE, FILE):
        if (folder / file).is_file():
            return read(folder, file)
    return OperatingPoints()
