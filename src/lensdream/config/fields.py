"""Fields of settings: a dataclass field with a default, a range, a unit and a text."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from lensdream.families import FAMILIES_NON_LENS

LARGEST_SEED = 2**31 - 1
MANY = 10**8
"""more than any number of images or scenes"""


class ConfigError(ValueError):
    """Settings that cannot be used; the message lists every problem, one a line."""


def setting(default: float, low: float, high: float, text: str = "", unit: str = "") -> Any:  # noqa: ANN401 - dataclasses.field is typed so
    """Field of a number in [low, high], explained by `text`."""
    return dataclasses.field(default=default, metadata={"low": low, "high": high, "text": text, "unit": unit})


def choice(default: str, *names: str, text: str) -> Any:  # noqa: ANN401
    """Field of one of these names."""
    return dataclasses.field(default=default, metadata={"names": names, "text": text})


def switch(default: bool, text: str) -> Any:  # noqa: ANN401
    """Field of yes or no."""
    return dataclasses.field(default=default, metadata={"text": text})


def part(settings: type, text: str = "", **values: object) -> Any:  # noqa: ANN401
    """Field of settings that are a dataclass of their own, with its defaults but for these values."""
    return dataclasses.field(default_factory=lambda: settings(**values), metadata={"text": text})


def mix(text: str, shares: Mapping[str, tuple[float, str]]) -> Any:  # noqa: ANN401
    """Field of a share for each non-lens family, with a remark on each; a family that is not given has none."""
    of_family = {name: shares.get(name, (0.0, "")) for name in FAMILIES_NON_LENS}
    return dataclasses.field(
        default_factory=lambda: {name: share for name, (share, _) in of_family.items()},
        metadata={
            "low": 0.0, "high": 1.0, "text": text, "unit": "",
            "texts": {name: remark for name, (_, remark) in of_family.items()},
        },
    )  # fmt: skip


def checked_mix(key: str, shares: Mapping[str, float]) -> dict[str, float]:
    """Shares in the order of `FAMILIES_NON_LENS`, which is that of random streams.

    Raises `ConfigError` for other families than those, and for shares that do not add up to 1.
    """
    unknown = [name for name in shares if name not in FAMILIES_NON_LENS]
    missing = [name for name in FAMILIES_NON_LENS if name not in shares]
    problems = [f"{key}.{name}: no such family; families are {', '.join(FAMILIES_NON_LENS)}" for name in unknown]
    problems += [f"{key}.{name}: missing; every family has a share, 0 for none" for name in missing]
    total = sum(shares.values())
    if not problems and not abs(total - 1.0) <= 1e-6:
        problems.append(f"{key}: the shares add up to {total:.6g}, they must add up to 1: change one of them")
    if problems:
        raise ConfigError("\n  ".join(problems))
    return {name: shares[name] for name in FAMILIES_NON_LENS}
