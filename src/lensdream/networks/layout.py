"""Layout of a model folder: its files, and the digest that identifies its model. Imports no torch.

model.safetensors, model.json              the first stage of the finder
second/model.safetensors, model.json       the second stage; a model without one scores by its first stage
kinds/kinds.safetensors                    the class prior over the second stage's features
compound/model.safetensors, model.json     the compound classifier
operating_points.json, survey_points.json  thresholds and temperature, measured on the test set and on a survey's mix
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from lensdream.runtime.files import sha256_of

WEIGHTS = "model.safetensors"
SETTINGS = "model.json"
SECOND_STAGE = "second"
COMPOUND = "compound"
BASELINES = "peers"
"""folder of the models that the finder is compared with, a subfolder each: no part of the model"""
CLASS_PRIOR = Path("kinds", "kinds.safetensors")
POINTS = "operating_points.json"
"""thresholds and temperature on the test mix, by the evaluate stage"""
SURVEY_POINTS = "survey_points.json"
"""thresholds and temperature on a survey's mix, by the survey-test stage; a finder prefers these"""
MERIT = "tpr_at_fpr_1e-2"
"""completeness that models are compared by, in `POINTS`"""
NETWORKS = ("", SECOND_STAGE, COMPOUND)
"""folders of the networks of a model, within its own"""


def is_model(folder: Path) -> bool:
    """Whether a trained network lies in `folder`."""
    return (folder / SETTINGS).is_file() and (folder / WEIGHTS).is_file()


def part_files(folder: Path) -> Iterator[Path]:
    """Relative paths of the files that determine the scores of the model in `folder`."""
    for part in NETWORKS:
        if is_model(folder / part):
            yield from (Path(part, name) for name in (WEIGHTS, SETTINGS))
    if (folder / CLASS_PRIOR).is_file():
        yield CLASS_PRIOR


def digest_of(folder: Path) -> str:
    """Hex sha256 of the model in `folder`, of the paths and digests of its weights and settings."""
    lines = (f"{path.as_posix()} {sha256_of(folder / path)}\n" for path in part_files(folder))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def weights_digest_of(folder: Path) -> str:
    """Hex digest that the first edition named a model by: of the weights of both stages and of the class prior alone."""
    paths = [path for path in part_files(folder) if path.name != SETTINGS and path.parent.name != COMPOUND]
    digests = [sha256_of(folder / path) for path in paths]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def images_trained_on(folder: Path) -> int | None:
    """Number of different images that the network in `folder` was trained on; None for a model of an older version."""
    return _settings(folder).get("images_trained_on")


def stamp_of(folder: Path) -> int:
    """Side [pixel] of the images that the network in `folder` was trained on."""
    return int(_settings(folder)["stamp"])


def training_odds_of(folder: Path) -> float | None:
    """Label-1 images for every label-0 image in the training of the network in `folder`; None where that is not recorded."""
    return _settings(folder).get("training_odds")


def _settings(folder: Path) -> dict:
    return json.loads((folder / SETTINGS).read_text())
