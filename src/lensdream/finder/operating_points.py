"""Operating points: thresholds and temperature of a model, with the digest of that model."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lensdream.metrics import probability, threshold_at_fpr
from lensdream.networks.layout import MERIT, POINTS, SURVEY_POINTS, digest_of, weights_digest_of
from lensdream.runtime.files import write_json

STAGES = {POINTS: "evaluate", SURVEY_POINTS: "survey-test"}
RATES = {"1e-2": 1e-2, "1e-3": 1e-3, "1e-4": 1e-4}
THRESHOLD, TEMPERATURE, SHARES = "threshold_", "temperature", "shares"
"""keys of the files"""
DIGESTS = {"model_sha256": digest_of, "weights_sha256": weights_digest_of}
"""keys of the digest of the model that points are of, the second of files of the first edition"""


class PointsError(ValueError):
    """A file of operating points that cannot be used; the message names the stage to run."""


@dataclass(frozen=True)
class OperatingPoints:
    """Logit thresholds by false-positive rate, and the temperature of the probabilities."""

    thresholds: Mapping[str, float] = field(default_factory=dict)
    """`fpr_1e-3` and so on to the logit above which an image counts as a lens; of the rates that could be measured"""
    temperature: float = 1.0
    """probability = sigmoid(logit / temperature)"""
    shares: Mapping[str, float] | None = None
    """of the non-lens classes in a survey, which the logits are for; None for those of training"""
    merit: float | None = None
    """completeness at a rate of 1e-2 that the champion is chosen by; of the test mix alone"""

    def above(self, logit: float, rate: str) -> bool | None:
        """Whether a logit lies above the threshold of a rate such as `fpr_1e-3`; None where either is not known."""
        threshold = self.thresholds.get(rate)
        return None if threshold is None or math.isnan(logit) else bool(logit > threshold)

    def probability(self, logits: np.ndarray) -> np.ndarray:
        """Calibrated probabilities of being a lens, the shape of `logits`."""
        return probability(logits, self.temperature)


def measurable(n_non_lenses: int, rates: Mapping[str, float] = RATES) -> dict[str, float]:
    """Rates that at least one of so many non-lenses stands for, by name."""
    return {name: rate for name, rate in rates.items() if rate * n_non_lenses >= 1 - 1e-9}


def at_rates(non_lens_logits: np.ndarray, rates: Mapping[str, float] = RATES) -> dict[str, float]:
    """Thresholds by `fpr_<rate>` from logits (N,); at a rate that is not measurable, the highest logit."""
    return {f"fpr_{name}": threshold_at_fpr(non_lens_logits, rate) for name, rate in rates.items()}


def write(folder: Path, points: OperatingPoints, file: str = POINTS) -> None:
    """Write points into the folder of the model that they are of."""
    values = {f"{THRESHOLD}{name}": value for name, value in points.thresholds.items()}
    values[TEMPERATURE] = points.temperature
    values |= {} if points.merit is None or math.isnan(points.merit) else {MERIT: points.merit}
    values |= {} if points.shares is None else {SHARES: dict(points.shares)}
    write_json(folder / file, values | {"model_sha256": digest_of(folder)})


def read(folder: Path, file: str = POINTS) -> OperatingPoints:
    """Read the points of the model in `folder`.

    Raises `FileNotFoundError` where there is none, `PointsError` for a file that does not hold numbers, a temperature or
    shares that are not positive, and points of another model than the folder's; all name the stage to run.
    """
    path, remedy = folder / file, f"run the {STAGES[file]} stage"
    if not path.is_file():
        raise FileNotFoundError(f"no {file} in {folder}: {remedy} for this model first")
    try:
        found = json.loads(path.read_text())
        digests = {key: found.pop(key) for key in DIGESTS if key in found}
        shares = {name: float(value) for name, value in found.pop(SHARES).items()} if SHARES in found else None
        values = {name: float(value) for name, value in found.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise PointsError(f"{path} must hold names and numbers ({error}): {remedy} again") from None
    if not digests or any(digest != DIGESTS[key](folder) for key, digest in digests.items()):
        raise PointsError(f"{path} is of another model than that in {folder}: {remedy} again")
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
    return OperatingPoints(thresholds, temperature, shares, values.get(MERIT))


def read_best(folder: Path) -> OperatingPoints:
    """Read a survey's points where they were measured, else those of the test mix, else none; raises `PointsError`."""
    for file in (SURVEY_POINTS, POINTS):
        if (folder / file).is_file():
            return read(folder, file)
    return OperatingPoints()
