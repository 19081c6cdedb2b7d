"""The thresholds and the temperature that travel with a model."""

from __future__ import annotations

import json
from pathlib import Path

from lensdream.files import write_json

FILE = "operating_points.json"
SURVEY_FILE = "survey_points.json"
"""thresholds in a survey's proportions; what scores real cutouts takes them before those of the test mix"""
SHARES = "shares"
"""in it: of the kinds of non-lenses, where the logits that the thresholds are on are for these, not for those of training"""
GATE = "tpr_at_fpr_1e-2"
"""completeness that the champion of the registry is chosen by"""
RATES = {"1e-1": 1e-1, "1e-2": 1e-2, "1e-3": 1e-3, "1e-4": 1e-4}


def write(folder: Path, thresholds: dict[str, float], temperature: float, gate: float) -> None:
    """Write `threshold_fpr_<rate>` (logits), `temperature` and the gate's metric beside the weights."""
    write_json(folder / FILE, _named(thresholds) | {"temperature": temperature, GATE: gate})


def write_survey(folder: Path, thresholds: dict[str, float], shares: dict[str, float] | None) -> None:
    """Write `threshold_fpr_<rate>` (logits) of the rates that a survey's non-lenses could tell.

    shares: those that the logits are for; None for those of training.
    """
    write_json(folder / SURVEY_FILE, _named(thresholds) | ({} if shares is None else {SHARES: shares}))


def _named(thresholds: dict[str, float]) -> dict[str, float]:
    return {f"threshold_fpr_{name}": value for name, value in thresholds.items()}


def read(folder: Path) -> dict[str, float]:
    """What `write` wrote; raises `FileNotFoundError` with the remedy."""
    return _read(folder, FILE, "evaluate")


def read_survey(folder: Path) -> tuple[dict[str, float], dict[str, float] | None]:
    """The thresholds and shares that `write_survey` wrote; raises `FileNotFoundError` with the remedy."""
    found = _read(folder, SURVEY_FILE, "survey-test")
    shares = found.pop(SHARES, None)
    return found, shares


def _read(folder: Path, name: str, stage: str) -> dict:
    path = folder / name
    if not path.is_file():
        raise FileNotFoundError(f"no {name} in {folder}: run the {stage} stage for this model first")
    return json.loads(path.read_text())
