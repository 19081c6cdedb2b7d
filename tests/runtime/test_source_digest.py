"""Digests of syntax trees: what changes a number changes them, and nothing else does."""

import pytest

from lensdream.runtime.source_digest import digests

FILES = {
    "__init__.py": "",
    "draw.py": '''
"""Draws."""
from lensdream.config import Drawing
from lensdream.light import profile
from lensdream import plots


def draw(settings: Drawing):
    """Draw it."""
    if settings.n < 1:
        raise ValueError(f"n = {settings.n} is below 1: raise it")
    print("drawing")
    return 2.5 * profile(settings.n)
''',
    "light/__init__.py": "from lensdream.light.sersic import profile\n",
    "light/sersic.py": "TABLE = 'table.yml'\n\n\ndef profile(n):\n    return n + 1\n",
    "light/table.yml": "# remark\nindex: 4\n",
    "plots.py": "COLOR = 'red'\n",
    "other.py": "X = 1\n",
    "config/__init__.py": "from lensdream.config.stages import Drawing, Reporting\n",
    "config/stages.py": '''
from dataclasses import dataclass

from lensdream.config.fields import mix, part, setting

LIMIT = 5


@dataclass(frozen=True)
class Inner:
    """Inside."""

    depth: float = setting(0.5, 0.0, 1.0, "how deep", "m")


@dataclass(frozen=True)
class Drawing:
    """What is drawn."""

    n: int = setting(3, 1, LIMIT, "of all")
    inner: Inner = part(Inner, "inside")
    shares: dict = mix("shares of each", {"star": (0.5, "points")})


@dataclass(frozen=True)
class Reporting:
    """What is told."""

    pages: int = setting(1, 1, 9)
''',
    "config/fields.py": "def setting(*values): ...\n",
}


@pytest.fixture
def source(tmp_path):
    """A package; source(file, old, new) -> its digests with that replaced."""

    def changed(file="draw.py", old="", new=""):
        for name, text in FILES.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            assert old in text or name != file
            path.write_text(text.replace(old, new) if name == file and old else text)
        return digests(["draw"], without=lambda module: module == "plots", source=tmp_path)

    return changed


def test_the_modules_are_those_that_are_imported_and_settings_count_one_by_one(source):
    assert list(source()) == [
        "config:Drawing", "config:Inner", "config:LIMIT", "draw", "light", "light.sersic", "light.sersic/table.yml"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("draw.py", "    return 2.5", "    # a remark\n\n    return 2.5"),
        ("draw.py", '"""Draw it."""', '"""Draw all of it,\n\n    at length.\n    """'),
        ("draw.py", '"""Draws."""', ""),
        ("draw.py", "is below 1: raise it", "is too low"),
        ("draw.py", '    print("drawing")\n', ""),
        ("draw.py", "2.5 * profile(settings.n)", "(2.5\n            * profile(settings.n))"),
        ("light/table.yml", "# remark\n", "# another\n\n"),
        ("config/stages.py", "how deep", "how far down"),
        ("config/stages.py", '"m"', '"km"'),
        ("config/stages.py", "shares of each", "parts"),
        ("config/stages.py", "points", "stars"),
        ("config/stages.py", "What is drawn.", "Drawing."),
        ("config/stages.py", "pages: int = setting(1", "pages: int = setting(2"),
        ("config/fields.py", "...", "return values"),
        ("plots.py", "red", "blue"),
        ("other.py", "1", "2"),
    ],
)
def test_what_changes_no_number_changes_no_digest(file, old, new, source):
    assert source(file, old, new) == source()


@pytest.mark.parametrize(
    ("file", "old", "new", "where"),
    [
        ("draw.py", "2.5", "2.6", {"draw"}),
        ("draw.py", "ValueError", "KeyError", {"draw"}),
        ("draw.py", "settings.n < 1", "settings.n <= 1", {"draw"}),
        ("light/sersic.py", "n + 1", "n - 1", {"light.sersic"}),
        ("light/sersic.py", "'table.yml'", "'TABLE.yml'", {"light.sersic", "light.sersic/table.yml"}),
        ("light/table.yml", "4", "5", {"light.sersic/table.yml"}),
        ("config/stages.py", "setting(0.5", "setting(0.6", {"config:Inner"}),
        ("config/stages.py", '(0.5, "points")', '(0.4, "points")', {"config:Drawing"}),
        ("config/stages.py", "LIMIT = 5", "LIMIT = 6", {"config:LIMIT"}),
    ],
)
def test_a_changed_formula_changes_the_digest_of_its_module(file, old, new, where, source):
    before, after = source(), source(file, old, new)
    assert {name for name in before | after if before.get(name) != after.get(name)} == where


def test_an_import_inside_a_function_counts_and_one_for_types_does_not(source, tmp_path):
    lazily = "    from lensdream import other\n    return 2.5"
    assert "other" in source("draw.py", "    return 2.5", lazily)
    typed = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from lensdream import other\n\n\ndef draw"
    assert "other" not in source("draw.py", "def draw", typed)


def test_a_root_that_is_no_module_is_refused(tmp_path):
    with pytest.raises(ModuleNotFoundError, match="no module gone in"):
        digests(["gone"], source=tmp_path)
