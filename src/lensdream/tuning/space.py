"""The settings that are searched."""

from __future__ import annotations

from collections.abc import Mapping

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

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
"""settings of `TrainConfig` that are searched, and where"""


def settings_of(parameters: Mapping[str, float]) -> dict[str, float]:
    """Return the settings a trial trains with: real numbers to three digits, so that they can be written down."""
    return {
        name: float(f"{parameters[name]:.3g}") if isinstance(distribution, FloatDistribution) else int(parameters[name])
        for name, distribution in SPACE.items()
    }


def holds(distribution: BaseDistribution, value: float) -> bool:
    """Whether a trial may have this value."""
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    return distribution.low <= value <= distribution.high
