"""The rules of the house, held against src/lensdream, and toy packages that break each of them.

1. An import runs down: from a room to one on a lower floor, never up or along, so that there is no circle.
2. Commands, tracking, tuning and report serve the command line: the library does not import them.
3. The report reads files and computes nothing.
4. Only commands know where the pipeline's files lie.
5. Names of families stand in quotes in families.py alone.
"""

import ast
from pathlib import Path

import pytest

import architecture
import lensdream

FLOORS = (
    {"runtime", "families", "metrics", "instrument"},
    {"optics", "scene", "config", "plots"},
    {"render", "networks"},
    {"population", "explain", "tracking"},
    {"dataset", "finder"},
    {"train", "evaluate", "cutouts"},
    {"tuning", "report", "api", "serving"},
    {"__init__"},
    {"commands"},
    {"cli"},
)
"""rooms from the ground up; a new room gets its place here"""

COMMAND_LINE = {"commands", "cli"}
IMPORTED_BY = {
    "commands": COMMAND_LINE,
    "report": COMMAND_LINE,
    "tuning": COMMAND_LINE,
    "tracking": COMMAND_LINE,
}
LAZILY = {("finder", "tracking")}
"""imports allowed inside functions: the finder of an alias"""

REPORT_IMPORTS = {"runtime", "families", "metrics", "instrument", "plots"}

OTHER_MEANINGS = {("cutouts/sources.py", "field")}  # where a target came from
SPLITS = ("TRAIN", "SPLIT")
"""what names of constants in families.py hold that are splits and no families"""


def climbs(found, floors=FLOORS):
    """Imports between rooms that do not run down; `homeless` has the rooms without a floor."""
    floor_of = {room: floor for floor, rooms in enumerate(floors) for room in rooms}
    return [
        each
        for each in found
        if (a := architecture.room_of(each.source)) != (b := architecture.room_of(each.target))
        and {a, b} <= set(floor_of)
        and floor_of[a] <= floor_of[b]
    ]


def homeless(files, floors=FLOORS):
    """Rooms that no floor has."""
    return sorted({architecture.room_of(file) for file in files} - set().union(*floors))


def trespasses(found, imported_by=IMPORTED_BY, lazily=LAZILY):
    """Imports of rooms that are not open to the importing one."""
    return [
        each
        for each in found
        if (b := architecture.room_of(each.target)) in imported_by
        and (a := architecture.room_of(each.source)) not in imported_by[b] | {b}
        and not (each.lazy and (a, b) in lazily)
    ]


def computing(found, allowed=REPORT_IMPORTS):
    """Imports of the report that are neither plots nor tables nor names."""
    of_report = (each for each in found if architecture.room_of(each.source) == "report")
    return [each for each in of_report if architecture.room_of(each.target) not in allowed | {"report"}]


def family_names(tree):
    """Strings in quotes in families.py that may name a family."""
    statements = [node for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign)]
    of_families = (node for node in statements if not any(word in ast.unparse(node).split("=")[0] for word in SPLITS))
    return {text for node in of_families for text, _ in quoted(node) if text.isidentifier()}


def quoted(tree):
    """Whole strings and their lines; docstrings and pieces of f-strings are none."""
    aside = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    aside |= {id(piece) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for piece in node.values}
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in aside)
    return [(node.value, node.lineno) for node in constants if isinstance(node.value, str)]


def families_in_quotes(parsed, other_meanings=OTHER_MEANINGS):
    """File, line and family of each name outside families.py."""
    names = family_names(parsed["families.py"])
    return [
        (file, line, text)
        for file, tree in parsed.items()
        if file != "families.py"
        for text, line in quoted(tree)
        if text in names and (file, text) not in other_meanings
    ]


def listed(violations):
    return "\n".join(str(tuple(each)) for each in violations)


@pytest.fixture(scope="module")
def parsed():
    return architecture.trees(Path(lensdream.__file__).parent)


@pytest.fixture(scope="module")
def found(parsed):
    return architecture.imports(parsed, "lensdream")


def test_every_room_has_a_floor(parsed):
    assert homeless(parsed) == []


def test_no_import_runs_up_or_along(found):
    assert not climbs(found), listed(climbs(found))


def test_no_rooms_and_no_files_import_one_another_in_a_circle(parsed, found):
    assert architecture.structure(parsed, found)["circles of rooms"] == []
    assert architecture.structure(parsed, found, subfolders=True)["circles of rooms"] == []
    assert architecture.structure(parsed, found)["circles of files"] == []


def test_the_library_imports_neither_commands_nor_what_serves_them(found):
    assert not trespasses(found), listed(trespasses(found))


def test_the_report_computes_nothing(found):
    assert not computing(found), listed(computing(found))


def test_names_of_families_stand_in_quotes_in_one_file(parsed):
    assert not families_in_quotes(parsed), listed(families_in_quotes(parsed))


def toy(folder, **texts):
    """Imports of a package with these files; `sky__noise` is sky/noise.py."""
    for name, text in texts.items():
        path = folder / "toy" / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return architecture.imports(architecture.trees(folder / "toy"), "toy")


def sources(violations):
    return [(each.source, each.target) for each in violations]


FROM_BELOW_TO_TOP = ({"ground", "beside"}, {"middle"}, {"top"})


def test_an_import_from_a_lower_floor_is_caught_at_once_or_lazy(tmp_path):
    found = toy(tmp_path, ground__a="from toy import top\n", middle="def f():\n    import toy.top\n", top="", beside="")
    assert sources(climbs(found, FROM_BELOW_TO_TOP)) == [("ground/a.py", "top.py"), ("middle.py", "top.py")]


def test_an_import_along_a_floor_is_caught_and_one_down_or_inside_a_room_is_not(tmp_path):
    texts = {"ground__a": "from toy.ground import b\n", "ground__b": "", "top": "from toy import beside, middle\n"}
    found = toy(tmp_path, **texts, beside="from toy.ground.a import x\n", middle="from .ground import b\n")
    assert sources(climbs(found, FROM_BELOW_TO_TOP)) == [("beside.py", "ground/a.py")]


def test_a_room_without_a_floor_is_named():
    assert homeless(["ground/a.py", "attic/b.py", "top.py"], FROM_BELOW_TO_TOP) == ["attic"]


@pytest.mark.parametrize("room", ["commands", "report", "tuning", "tracking"])
def test_an_import_of_what_serves_commands_is_caught_in_the_library_and_allowed_in_commands(tmp_path, room):
    statement = f"from toy import {room}\n"
    files = {room: "", "evaluate__figures": statement, "commands__show": statement, "cli": statement}
    assert sources(trespasses(toy(tmp_path, **files))) == [("evaluate/figures.py", f"{room}.py")]


def test_a_finder_may_import_tracking_inside_a_function_only(tmp_path):
    lazily = "def load():\n    from toy import tracking\n"
    assert trespasses(toy(tmp_path, finder=lazily, tracking="")) == []
    assert sources(trespasses(toy(tmp_path, finder="from toy import tracking\n", tracking=""))) == [
        ("finder.py", "tracking.py")
    ]
    assert sources(trespasses(toy(tmp_path, finder="", explain=lazily, tracking=""))) == [("explain.py", "tracking.py")]


@pytest.mark.parametrize("room", ["finder", "explain", "cutouts", "networks", "dataset", "tracking", "evaluate"])
def test_a_report_that_computes_is_caught_and_one_that_draws_is_not(tmp_path, room):
    page = f"from toy import plots, {room}\nfrom toy.report import table\n"
    found = toy(tmp_path, report__page=page, report__table="", plots="", **{room: ""})
    assert sources(computing(found)) == [("report/page.py", f"{room}.py")]


FAMILIES = 'LENS = "lens"\nNON_LENS: tuple = ("ring", "edge_on")\nTRAIN = "train"\nNOTE = "two words"\n"""ring"""\n'


def quotes(text, other_meanings=()):
    return families_in_quotes({"families.py": ast.parse(FAMILIES), "a.py": ast.parse(text)}, other_meanings)


@pytest.mark.parametrize("text", ['x == "edge_on"', 'f(family="edge_on")', 'x = {"edge_on": 1}', 'x["edge_on"]'])
def test_the_name_of_a_family_in_quotes_is_caught(text):
    assert quotes(f"\n{text}\n") == [("a.py", 2, "edge_on")]


@pytest.mark.parametrize(
    "text", ['"""ring"""', 'x = 1\n"""ring"""', 'f"{n} ring"', 'f"ring{n}"', '"train"', '"two words"']
)
def test_docstrings_pieces_of_text_and_splits_are_no_names_of_families(text):
    assert quotes(text) == []


def test_a_word_of_another_meaning_is_allowed_in_its_file_alone():
    assert quotes('x = "ring"', {("a.py", "ring")}) == []
    assert quotes('x = "ring"', {("b.py", "ring")}) == [("a.py", 1, "ring")]
