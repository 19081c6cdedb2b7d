"""Space of the settings that are searched."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from lensdream.config import Training

SPACE: dict[str, BaseDistribution] = {
    "learning_rate": FloatDistribution(3e-4, 2e-2, log=True),
    "weight_decay": FloatDistribution(1e-4, 3e-1, log=True),
    "width": CategoricalDistribution((16, 24, 32, 48)),
    "dropout": FloatDistribution(0.0, 0.5),
    "batch_size": CategoricalDistribution((32, 64, 128)),
    "band_dropout": FloatDistribution(0.0, 0.3),
    "label_smoothing": FloatDistribution(0.0, 0.1),
    "shift_pixels": IntDistribution(0, 4),
}
"""distribution of each setting of a `Training` that is searched"""

OF_THE_NETWORK = ("width", "dropout")
"""settings of the network's shape; the others are of the fit"""


def key_of(name: str) -> str:
    """Dotted key of a setting of the space in the block of the training."""
    return f"network.{name}" if name in OF_THE_NETWORK else f"fit.{name}"


def value_of(training: Training, name: str) -> float:
    """Value of a setting of the space in a training."""
    return getattr(training.network if name in OF_THE_NETWORK else training.fit, name)


def with_settings(training: Training, settings: Mapping[str, float]) -> Training:
    """Training with these settings of the space."""
    network = {name: value for name, value in settings.items() if name in OF_THE_NETWORK}
    fit = {name: value for name, value in settings.items() if name not in OF_THE_NETWORK}
    return dataclasses.replace(
        training,
        fit=dataclasses.replace(training.fit, **fit),
        network=dataclasses.replace(training.network, **network),
    )


def settings_of(parameters: Mapping[str, float]) -> dict[str, float]:
    """Settings that a trial trains with: real numbers to three digits, so that they can be written down."""
    return {
        name: float(f"{parameters[name]:.3g}") if isinstance(distribution, FloatDistribution) else int(parameters[name])
        for name, distribution in SPACE.items()
    }


def is_in(distribution: BaseDistribution, value: float) -> bool:
    """Whether a trial may have this value."""
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    return distribution.low <= value <= distribution.high
