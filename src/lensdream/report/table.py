"""Tables of text, and the formats of numbers in them. An undefined number is a dash."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lensdream.metrics import wilson

NOTHING = "\N{EN DASH}"


@dataclass(frozen=True)
class Table:
    """A table of text cells; the first column names the row."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: frozenset[int] = frozenset()
    """columns after the first that hold words, not numbers: aligned left"""

    def __post_init__(self) -> None:
        """Refuse rows of another length than the head's: their cells would be shifted."""
        wrong = [row for row in self.rows if len(row) != len(self.head)]
        if wrong:
            raise ValueError(f"a table of {len(self.head)} columns has the row {wrong[0]}")

    def as_text(self) -> str:
        """Lines for a terminal."""
        lines = [self.head, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.head))]
        left = self.words | {0}
        return "\n".join(
            "  "
            + "  ".join(
                cell.ljust(width) if column in left else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )

    def as_markdown(self) -> str:
        """Lines for a Markdown page; numbers are aligned right."""
        left = self.words | {0}
        rule = ["---" if column in left else "---:" for column in range(len(self.head))]
        return "\n".join(f"| {' | '.join(line)} |" for line in (self.head, rule, *self.rows))


def decimal(value: float | None, digits: int = 4) -> str:
    """Number with so many decimals."""
    return NOTHING if value is None or math.isnan(value) else f"{value:z.{digits}f}"


def percent(value: float | None, digits: int = 1) -> str:
    """Share in per cent."""
    return NOTHING if value is None or math.isnan(value) else f"{100 * value:.{digits}f} %"


def count(value: int) -> str:
    """Integer in groups of three digits."""
    return f"{value:,}"


def word(value: bool | None) -> str:
    """Yes, no, or a dash for None."""
    return {True: "yes", False: "no", None: NOTHING}[value]


def interval(values: Mapping[str, float | None], digits: int = 4) -> str:
    """Number and its interval, from `{"value", "low", "high"}`."""
    if decimal(values["value"]) == NOTHING:
        return NOTHING
    low, high = decimal(values["low"], digits), decimal(values["high"], digits)
    return f"{decimal(values['value'], digits)} [{low}, {high}]"


def percent_interval(values: Mapping[str, float | None], digits: int = 1) -> str:
    """Share and its interval in per cent, from `{"value", "low", "high"}`."""
    hundredfold = {name: None if values[name] is None else 100 * values[name] for name in ("value", "low", "high")}
    text = interval(hundredfold, digits)
    return text if text == NOTHING else f"{text} %"


def counted_share(share: float | None, n: int) -> str:
    """Share of n objects with its 95 % interval (Wilson), and the number of objects in it."""
    if share is None or n == 0:
        return NOTHING
    hits = round(share * n)
    return f"{percent_interval(wilson(hits, n))} ({count(hits)})"


def duration(seconds: float) -> str:
    """Time span in its two largest units."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def size(number: float) -> str:
    """Bytes in MB or GB."""
    return f"{number / 1e9:.2f} GB" if number >= 1e9 else f"{number / 1e6:.1f} MB"


def plain(name: str) -> str:
    """Name of a family or method in words."""
    return name.replace("_", " ")


def pairs(head: tuple[str, str], values: Sequence[tuple[str, str]]) -> Table:
    """Table of names and values."""
    return Table(head, tuple(values))
