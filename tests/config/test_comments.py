"""The comments of params.yaml: text, unit and range of the settings, and no value changed."""

import dataclasses
import textwrap
from dataclasses import dataclass

import pytest
import yaml

from lensdream.config import ConfigError, choice, part, setting, switch
from lensdream.config.comments import COLUMN, SCALES_TEXT, WIDTH, block_of, commented, number
from lensdream.config.stages import SurveyConfig


@dataclass(frozen=True)
class Inner:
    """Values inside."""

    depth: float = setting(0.5, 1e-6, 1.0, "how deep", "m")


@dataclass(frozen=True)
class Outer:
    """What is measured.

    More of it.
    """

    seed: int = setting(1, 0, 2**31 - 1, "of all")
    plain: int = setting(1, 0, 10)
    kind: str = choice("a", "a", "b", text="the second is slow")
    on: bool = switch(True, "whether it is on")
    inner: Inner = part(Inner, "inside")


TEXT = """\
# an old remark
outer:
  seed: 3 # another
  kind: b
  unknown: 5
  inner:
    depth: 0.25
scales:
  quick:
    networks:
      lensnet: trained
    outer:
      plain: 2
      on: false
  poster:
    outer:
      plain: 4
"""
BLOCKS = {"outer": block_of(Outer)}


def test_text_unit_and_range_stand_behind_each_value():
    found = commented(TEXT, BLOCKS)
    lines = [" ".join(line.split()) for line in found.splitlines()]
    assert lines[lines.index("") + 1 :] == [
        "# What is measured.",
        "outer:",
        "seed: 3 # of all [0, 2^31 - 1]",
        "kind: b # a or b; the second is slow",
        "unknown: 5",
        "inner: # inside",
        "depth: 0.25 # how deep [m; 1e-6, 1]",
        "",
        *(f"# {line}" for line in textwrap.wrap(SCALES_TEXT, WIDTH)),
        "scales:",
        "quick:",
        "networks:",
        "lensnet: trained",
        "outer:",
        "plain: 2 # [0, 10]",
        "on: false # whether it is on",
        "poster:",
        "outer:",
        "plain: 4",  # said above
    ]
    assert "old remark" not in found
    assert yaml.safe_load(found) == yaml.safe_load(TEXT)


def test_comments_written_twice_are_the_same():
    once = commented(TEXT, BLOCKS)
    assert commented(once, BLOCKS) == once


def test_a_family_of_a_mix_has_its_own_text_and_long_ones_are_wrapped():
    text = "survey:\n  non_lens_shares:\n    star: 1.0\n  near_miss: 0.1\n"
    found = commented(text, {"survey": block_of(SurveyConfig, "Targets.")})
    assert "star: 1.0".ljust(COLUMN - 4) + "  # stars, single or double, that passed for resolved\n" in found
    lines = found.splitlines()
    assert all(len(line) <= WIDTH + 4 for line in lines)
    wrapped = lines[lines.index(next(line for line in lines if "near_miss" in line)) + 1 :]
    assert wrapped
    assert all(line.startswith(" " * COLUMN + "  # ") for line in wrapped)


def test_a_layout_that_is_no_lines_of_values_is_refused():
    with pytest.raises(ConfigError, match="write each setting as one line of its own"):
        commented("outer:\n  seed:\n    - 1\n", BLOCKS)


@pytest.mark.parametrize(
    ("value", "text"), [(1e-06, "1e-6"), (10**8, "1e8"), (0.99999, "0.99999"), (float("inf"), ".inf"), (0.0, "0")]
)
def test_bounds_are_short(value, text):
    assert number(value) == text


def test_every_field_of_every_block_has_a_text():
    from lensdream.commands.params import blocks
    from lensdream.config.loading import settings_fields

    def bare(settings):
        for name, (field, kind) in settings_fields(settings).items():
            if dataclasses.is_dataclass(kind):
                yield from bare(kind)
            elif not field.metadata["text"]:
                yield f"{settings.__name__}.{name}"

    assert [name for block in blocks().values() for name in bare(block.settings)] == []
