"""What a setting is: a dataclass field with a default, a range, a unit and a text."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from lensdream.families import FAMILIES_NON_LENS

LARGEST_SEED = 2**31 - 1
MANY = 10**8
"""more than any number of images or scenes"""


class ConfigError(ValueError):
    """Every problem found in the settings, one a line."""


def setting(default: float, low: float, high: float, text: str = "", unit: str = "") -> Any:  # noqa: ANN401 - dataclasses.field is typed so
    """A number in [low, high]; `text` says what it is."""
    return dataclasses.field(default=default, metadata={"low": low, "high": high, "text": text, "unit": unit})


def choice(default: str, *names: str, text: str) -> Any:  # noqa: ANN401
    """One of these names."""
    return dataclasses.field(default=default, metadata={"names": names, "text": text})


def switch(default: bool, text: str) -> Any:  # noqa: ANN401
    """Yes or no."""
    return dataclasses.field(default=default, metadata={"text": text})


def part(settings: type, text: str = "", **values: object) -> Any:  # noqa: ANN401
    """Settings that are a dataclass of their own; its defaults hold but for these values."""
    return dataclasses.field(default_factory=lambda: settings(**values), metadata={"text": text})


def mix(text: str, shares: Mapping[str, tuple[float, str]]) -> Any:  # noqa: ANN401
    """A share for each non-lens family, with what the family is; a family that is not given has none."""
    of_family = {name: shares.get(name, (0.0, "")) for name in FAMILIES_NON_LENS}
    return dataclasses.field(
        default_factory=lambda: {name: share for name, (share, _) in of_family.items()},
        metadata={
            "low": 0.0, "high": 1.0, "text": text, "unit": "",
            "texts": {name: remark for name, (_, remark) in of_family.items()},
        },
    )  # fmt: skip


def checked_mix(place: str, shares: Mapping[str, float]) -> dict[str, float]:
    """The shares in the order of `FAMILIES_NON_LENS`, which is that of random streams.

    Raises `ConfigError` for other families than those, and for shares that do not add up to 1.
    """
    unknown = [name for name in shares if name not in FAMILIES_NON_LENS]
    missing = [name for name in FAMILIES_NON_LENS if name not in shares]
    problems = [f"{place}.{name}: no such family; families are {', '.join(FAMILIES_NON_LENS)}" for name in unknown]
    problems += [f"{place}.{name}: missing; every family has a share, 0 for none" for name in missing]
    total = sum(shares.values())
    if not problems and not abs(total - 1.0) <= 1e-6:
        problems.append(f"{place}: the shares add up to {total:.6g}, they must add up to 1: change one of them")
    if problems:
        raise ConfigError("\n  ".join(problems))
    return {name: shares[name] for name in FAMILIES_NON_LENS}
