"""Description of a data set, as JSON that is small enough for git: counts, quantiles, settings, digests of values and files.

`lensdream population` writes one of the tables of scenes, `lensdream simulate` one of the images (`describe.py`).
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lensdream.runtime.files import without_nan, write_whole

DESCRIPTION_VERSION = 1
SCENES, IMAGES = "scenes", "images"
"""what a description is of"""
COUNT = "n"
"""key of the number of values beside their quantiles"""
WIDTH = 140
"""longest line of JSON that is not broken up"""

LABELS, QUANTITIES, COLUMNS, FILES = 3, 3, 2, 1
"""depths of mappings: split, family, label; group, quantity, quantile; table, column; file"""
DEPTH = 8
"""largest depth of settings and other values of any kind"""
LARGEST = 1e300
"""above any number of a description"""
NO_DESCRIPTION = (
    "name a JSON file that `lensdream population` or `lensdream simulate` wrote, or the folder of the data set"
)


class DescriptionError(ValueError):
    """Error of a file that is no description of a data set, or one of another version."""


@dataclass(frozen=True)
class Description:
    """Description of the scenes or of the images of a data set.

    Attributes
    ----------
    of : str
        `SCENES` or `IMAGES`.
    counts : mapping
        Number of scenes by split, family and label.
    quantiles : mapping
        By group of families and quantity: the number of values and their quantiles, such as `{"n": 300, "50%": 0.66}`.
    digests : mapping
        By table and column: 16 hex digits of the sha256 of the values.
    files : mapping
        Hex sha256 of every file.
    settings : mapping, optional
        Settings that the data set was drawn with; None where they are not known.
    store : mapping, optional
        Properties of an image store: bands, unit, pixel scale, stamp.
    code : str or mapping, optional
        Digests of the code that drew the data set; None where they are not known.
    """

    of: str
    counts: Mapping[str, Mapping[str, Mapping[str, int]]]
    quantiles: Mapping[str, Mapping[str, Mapping[str, float]]]
    digests: Mapping[str, Mapping[str, str]]
    files: Mapping[str, str]
    settings: Mapping[str, object] | None = None
    store: Mapping[str, object] | None = None
    code: str | Mapping[str, object] | None = None

    def write(self, path: Path) -> None:
        """Write the description as JSON, a quantity a line."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        write_whole(path, f"{laid_out({'schema_version': DESCRIPTION_VERSION} | without_nan(values))}\n".encode())


def parsed(content: bytes, name: str) -> Description:
    """Description in the JSON file `name`; raises `DescriptionError` for anything else, which says what is wrong."""
    try:
        document = json.loads(content, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise DescriptionError(f"{name} is nested too deeply to be read: {NO_DESCRIPTION}") from error
    except ValueError as error:
        raise DescriptionError(f"{name} is not JSON ({error}): {NO_DESCRIPTION}") from error
    if not isinstance(document, dict):
        raise DescriptionError(f"{name} holds a {type(document).__name__}, not an object of keys: {NO_DESCRIPTION}")
    version, of = document.get("schema_version"), document.get("of")
    if of not in (SCENES, IMAGES):
        raise DescriptionError(f"{name} describes no data set, its `of` is {_shown(of)}: {NO_DESCRIPTION}")
    if type(version) is not int or version != DESCRIPTION_VERSION:
        raise DescriptionError(
            f"{name} is a description of version {_shown(version)}, this version of lensdream reads {DESCRIPTION_VERSION}: "
            "use the lensdream that wrote it, or run the stage again"
        )
    problems = [
        *_nested_problems(document.get("counts"), LABELS, int, "counts"),
        *_nested_problems(document.get("quantiles"), QUANTITIES, (int, float), "quantiles"),
        *_nested_problems(document.get("digests"), COLUMNS, str, "digests"),
        *_nested_problems(document.get("files"), FILES, str, "files"),
        *(problem for key in ("settings", "store") for problem in _optional_problems(document.get(key), dict, key)),
        *_optional_problems(document.get("code"), (dict, str), "code"),
    ]
    if problems:
        raise DescriptionError(f"{name} cannot be used: {'; '.join(problems[:3])}: run the stage that wrote it again")
    return Description(**{field.name: document.get(field.name) for field in dataclasses.fields(Description)})


def laid_out(value: object, indent: int = 0, used: int = 0) -> str:
    """JSON that has an object on one line where it fits into `WIDTH`, behind `used` characters, else an entry a line."""
    line = json.dumps(value, allow_nan=False)
    if not isinstance(value, Mapping) or used + len(line) < WIDTH:
        return line
    inner = " " * (indent + 2)
    keys = {name: f"{inner}{json.dumps(name)}: " for name in value}
    entries = [f"{key}{laid_out(value[name], indent + 2, len(key))}" for name, key in keys.items()]
    return "{\n" + ",\n".join(entries) + "\n" + " " * indent + "}"


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _nested_problems(value: object, depth: int, leaf: type | tuple[type, ...], at: str) -> list[str]:
    """Problems of mappings of mappings, `depth` of them, around values of a type."""
    if depth == 0:
        sound = isinstance(value, leaf) and not isinstance(value, bool)
        sound = sound and (isinstance(value, str) or -LARGEST < value < LARGEST)
        return [] if sound else [f"{at} is {_shown(value)}"]
    if not isinstance(value, dict):
        return [f"{at} is {_shown(value)} and no object of keys"]
    return [
        problem
        for key, entry in value.items()
        for problem in _nested_problems(entry, depth - 1, leaf, f"{at}.{_text(key)}")
    ]


def _optional_problems(value: object, types: type | tuple[type, ...], at: str) -> list[str]:
    """Problems of a value that may be absent and hold anything within, but not too deeply nor beyond all numbers."""
    if value is not None and not isinstance(value, types):
        return [f"{at} is {_shown(value)} and no object of keys"]
    level: list[object] = [value]
    for _ in range(DEPTH):
        level = [
            entry
            for outer in level
            for entry in (outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ())
        ]
        if any(isinstance(entry, float) and not math.isfinite(entry) for entry in level):
            return [f"{at} has a number that is too large"]
    return [f"{at} is nested more than {DEPTH} deep"] if level else []


def _shown(value: object) -> str:
    text = "missing" if value is None else _text(repr(value))
    return text if len(text) <= 60 else f"{text[:60]}..."


def _text(text: str) -> str:
    """Text that is safe on a terminal: characters that do not print become escapes."""
    return text if text.isprintable() else ascii(text)[1:-1]
