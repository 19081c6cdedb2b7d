"""Edit of `params.yaml` line by line, so that its comments stay."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import getitem
from pathlib import Path

import numpy as np
import yaml

from lensdream.config import ConfigError
from lensdream.runtime.files import write_whole


def write_settings(params: Path, settings: Mapping[str, float]) -> None:
    """Replace values under `lensnet` of a `params.yaml`, each in its line: comments and their columns stay.

    settings: by dotted name, such as `fit.learning_rate`. Raises `ConfigError` for a setting that is not there.
    """
    text = params.read_text()
    lines = text.splitlines(keepends=True)
    for name, value in settings.items():
        at = _line_of(lines, ("lensnet", *name.split(".")))
        if at is None:
            raise ConfigError(f"{params} has no lensnet.{name}: move it there from the scales and write again")
        key, _, rest = lines[at].partition(":")
        old, mark, comment = rest.rstrip("\n").partition("#")
        new = f" {_yaml(value)}"
        lines[at] = f"{key}:{new.ljust(len(old) - 1) + ' ' if mark else new}{mark}{comment}\n"
    expected = yaml.safe_load(text)
    for name, value in settings.items():
        *parts, key = name.split(".")
        reduce(getitem, parts, expected["lensnet"])[key] = value
    if yaml.safe_load("".join(lines)) != expected:
        raise ConfigError(f"{params} is laid out in a way that cannot be edited by line: set {dict(settings)} by hand")
    write_whole(params, "".join(lines).encode())


def _line_of(lines: list[str], path: tuple[str, ...]) -> int | None:
    """Find the line that sets the key at `path` in block style, two spaces a level."""
    depth = 0
    for number, line in enumerate(lines):
        indent = len(line) - len(line.lstrip(" "))
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        depth = min(depth, indent // 2)
        if indent == 2 * depth and line.lstrip().startswith(f"{path[depth]}:"):
            if depth == len(path) - 1:
                return number
            depth += 1
    return None


def _yaml(value: float) -> str:
    """Write a number without an exponent: YAML reads `1e-05` as text."""
    return np.format_float_positional(value, trim="0") if isinstance(value, float) else str(value)
