"""Comments of `params.yaml`, written from the settings: text, unit and range behind each value."""

from __future__ import annotations

import dataclasses
import math
import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import yaml

from lensdream.config.fields import ConfigError
from lensdream.config.loading import SCALES, settings_fields

HEADER = (
    "Settings of every stage: unit and [range] behind each value. A block holds at every scale; a scale, under `scales`, has "
    "what differs. What is left out has its default. The comments are those of lensdream.config, put here by `lensdream params "
    "--write`; others are lost."
)
SCALES_TEXT = (
    "Scales: one block each, with its networks, `trained` by its pipeline or `given`, which were trained before, and the "
    "settings that differ. A new scale is a new block; `lensdream params --write` writes its scales/<scale>/dvc.yaml."
)
WIDTH = 124
COLUMN = 30
"""column of comments behind values"""

LINE = re.compile(r"(?P<indent> *)(?P<key>[\w-]+):(?P<value>[^#]*)(#.*)?")


@dataclass(frozen=True)
class Block:
    """Settings and text of a block of `params.yaml`."""

    settings: type
    text: str


def block_of(settings: type, text: str = "") -> Block:
    """Block of these settings; without a text the first line of their docstring."""
    return Block(settings, text or (settings.__doc__ or "").split("\n\n")[0])


def commented(text: str, blocks: Mapping[str, Block]) -> str:
    """Text of the same settings with the comments of their dataclasses.

    Raises `ConfigError` for a layout whose lines are not all `name: value`.
    """
    lines = [*_wrapped(HEADER, "")]
    path: list[str] = []
    about = {name: block.text for name, block in blocks.items()} | {SCALES: SCALES_TEXT}
    commented_already: set[tuple[str, ...]] = set()
    for line in text.splitlines():
        found = LINE.fullmatch(line)
        if found is None:
            continue  # comments and empty lines are written anew; for others the check below fails
        path = [*path[: len(found["indent"]) // 2], found["key"]]
        bare = f"{found['indent']}{found['key']}:{found['value']}".rstrip()
        block_path = path[2:] if path[0] == SCALES else path
        block = blocks.get(block_path[0]) if block_path else None
        if len(path) == 1:
            lines += ["", *_wrapped(about.get(path[0], ""), "")]
        setting = tuple(block_path)
        is_new = block is not None and len(block_path) > 1 and setting not in commented_already
        comment = _comment(block.settings, block_path[1:]) if is_new else ""
        commented_already.add(setting)
        lines += _behind(bare, comment)
    result = "\n".join(lines) + "\n"
    if yaml.safe_load(result) != yaml.safe_load(text):
        raise ConfigError("params.yaml has lines that are not `name: value`: write each setting as one line of its own")
    return result


def _comment(settings: type, path: list[str]) -> str:
    """Comment of the setting at a path; empty for an unknown one."""
    field, field_type = settings_fields(settings).get(path[0], (None, None))
    if field is None:
        return ""
    if len(path) > 1 and dataclasses.is_dataclass(field_type):
        return _comment(field_type, path[1:])
    if len(path) > 1:  # a family of a mix
        return field.metadata["texts"].get(path[1], "")
    return " ".join(_parts(field.metadata))


def _parts(about: Mapping[str, object]) -> Iterator[str]:
    if "names" in about:
        yield f"{' or '.join(about['names'])};"
    yield from filter(None, [about.get("text", "")])
    if "low" in about:
        unit = f"{about['unit']}; " if about["unit"] else ""
        yield f"[{unit}{number(about['low'])}, {number(about['high'])}]"


def number(value: float) -> str:
    """Text of a bound in few characters."""
    if math.isinf(value):
        return ".inf"
    if value == 2**31 - 1:
        return "2^31 - 1"
    return re.sub(r"e([+-])0*(\d)", lambda found: f"e{found[1].strip('+')}{found[2]}", f"{value:g}")


def _behind(line: str, comment: str) -> list[str]:
    if not comment:
        return [line]
    start = line.ljust(COLUMN) + "  # "
    first, *rest = textwrap.wrap(comment, WIDTH - COLUMN)
    return [start + first, *(f"{' ' * COLUMN}  # {more}" for more in rest)]


def _wrapped(text: str, indent: str) -> list[str]:
    return [f"{indent}# {line}" for line in textwrap.wrap(" ".join(text.split()), WIDTH)]
