"""Import graph of folders and size of the code, of one tree or of two revisions to compare.

A room is a module or a folder right under the package, with all that lies in it (`--subfolders`: every folder by itself). An
arrow A -> B means that a file of A imports B; arrows that rest on imports inside functions alone are listed once more as lazy,
and imports under `if TYPE_CHECKING` count for nothing. A room stands one floor above the highest that it imports; rooms that
import one another in a circle share a floor. The package's own `__init__.py` is a room only if an import leads to or from it.
Run: python benchmarks/architecture.py [src/lensdream] [--also benchmarks] [--json]
"""

from __future__ import annotations

import argparse
import ast
import json
import statistics
from collections.abc import Iterable, Iterator, Mapping, Set
from pathlib import Path
from typing import NamedTuple

Graph = Mapping[str, Set[str]]
FACE = "__init__"
LONG = 300
"""lines above which a module is listed"""
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef


class Import(NamedTuple):
    """Import of one module by another; modules are named by their files, as in `population/drawing.py`."""

    source: str
    target: str
    line: int
    lazy: bool


def trees(root: Path, also: Iterable[Path] = ()) -> dict[str, ast.Module]:
    """Syntax trees by file name relative to the package's folder; a further folder's begin with that folder's name."""
    inside = {path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*.py"))}
    further = {
        f"{folder.name}/{path.relative_to(folder).as_posix()}": path
        for folder in also
        for path in sorted(folder.rglob("*.py"))
    }
    return {name: ast.parse(path.read_text(), str(path)) for name, path in (inside | further).items()}


def imports(parsed: Mapping[str, ast.Module], package: str) -> list[Import]:
    """Imports of files of the package; `from lensdream.optics import sie` leads to optics/sie.py."""
    found = [
        Import(source, target, node.lineno, lazy)
        for source, tree in parsed.items()
        for node, lazy in _import_nodes(tree.body, lazy=False)
        for name in _imported_names(node, source, package)
        if (target := _file_of(name, package, parsed)) not in (None, source)
    ]
    return sorted(set(found))


def _import_nodes(body: Iterable[ast.AST], lazy: bool) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, lazy
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _import_nodes(node.orelse, lazy)
        else:
            yield from _import_nodes(ast.iter_child_nodes(node), lazy or isinstance(node, FUNCTION))


def _imported_names(node: ast.Import | ast.ImportFrom, source: str, package: str) -> list[str]:
    """Full dotted names of an import statement."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    above = [package, *source.split("/")]
    origin = ".".join([*(above[: -node.level] if node.level else []), *([node.module] if node.module else [])])
    return [f"{origin}.{alias.name}" for alias in node.names]


def _file_of(name: str, package: str, files: Iterable[str]) -> str | None:
    """File of a dotted name, or of the longest part of it that has one; none for other packages."""
    first, *rest = name.split(".")
    if first != package or not rest or rest[-1].startswith("__"):
        return None
    while rest:
        path = "/".join(rest)
        for file in (f"{path}.py", f"{path}/__init__.py"):
            if file in files:
                return file
        rest.pop()
    return f"{FACE}.py"


def room_of(file: str, subfolders: bool = False) -> str:
    """Folder of a file: `population` of population/drawing.py; with subfolders `evaluate/explanations` of its files."""
    folder, _, _ = file.rpartition("/")
    if not folder:
        return file.removesuffix(".py")
    return folder if subfolders else folder.split("/")[0]


def graph(nodes: Iterable[str], arrows: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    """Nodes that each node leads to, without itself."""
    found: dict[str, set[str]] = {node: set() for node in nodes}
    for source, target in arrows:
        if source != target:
            found.setdefault(source, set()).add(target)
            found.setdefault(target, set())
    return found


def room_graph(files: Iterable[str], found: Iterable[Import], subfolders: bool = False) -> dict[str, set[str]]:
    """Imports between rooms."""
    arrows = [(room_of(each.source, subfolders), room_of(each.target, subfolders)) for each in found]
    return graph({room_of(file, subfolders) for file in files} - {FACE}, arrows)


def circles(arrows: Graph) -> list[list[str]]:
    """Groups of nodes that all lead to one another."""
    reached = {node: _reached(arrows, node) for node in arrows}
    groups = {frozenset(n for n in reached[node] if node in reached[n]) for node in arrows if node in reached[node]}
    return sorted(sorted(group) for group in groups)


def _reached(arrows: Graph, start: str) -> set[str]:
    reached: set[str] = set()
    ahead = set(arrows[start])
    while ahead:
        node = ahead.pop()
        reached.add(node)
        ahead |= arrows[node] - reached
    return reached


def floors(arrows: Graph) -> dict[str, int]:
    """Floor of every node, 1 for those that import nothing."""
    group_of = {node: frozenset(group) for group in circles(arrows) for node in group}
    found: dict[str, int] = {}

    def floor(node: str) -> int:
        group = group_of.get(node, frozenset((node,)))
        if node not in found:
            below = set().union(*(arrows[member] for member in group)) - group
            found.update(dict.fromkeys(group, 1 + max(map(floor, below), default=0)))
        return found[node]

    for node in arrows:
        floor(node)
    return found


def structure(files: Iterable[str], found: Iterable[Import], subfolders: bool = False) -> dict[str, object]:
    """Rooms by floor, arrows and circles."""
    rooms = room_graph(files, found, subfolders)
    loaded = room_graph(files, (each for each in found if not each.lazy), subfolders)
    floor_of = floors(rooms)
    arrows = [(a, b) for a in sorted(rooms) for b in sorted(rooms[a])]
    return {
        "floor of": dict(sorted(floor_of.items(), key=lambda each: (-each[1], each[0]))),
        "rooms": len(rooms),
        "floors": max(floor_of.values(), default=0),
        "arrows": len(arrows),
        "lazy arrows": [f"{a} -> {b}" for a, b in arrows if b not in loaded.get(a, ())],
        "arrows that do not run down": [f"{a} -> {b}" for a, b in arrows if floor_of[b] >= floor_of[a]],
        "circles of rooms": circles(rooms),
        "circles of files": circles(graph(files, ((each.source, each.target) for each in found))),
    }


def sizes(root: Path) -> dict[str, object]:
    """Lines and functions of the package."""
    texts = {path.relative_to(root).as_posix(): path.read_text() for path in sorted(root.rglob("*.py"))}
    lines = {file: len(text.splitlines()) for file, text in texts.items()}
    lengths = [each for text in texts.values() for each in function_lengths(ast.parse(text))]
    return {
        "modules": len(texts),
        "lines": sum(lines.values()),
        "functions": len(lengths),
        "function median, p95": _median_p95([whole - docstring for whole, docstring in lengths]),
        "with docstring": _median_p95([whole for whole, _ in lengths]),
        "long modules": {file: count for file, count in lines.items() if count > LONG},
    }


def function_lengths(tree: ast.Module) -> list[tuple[int, int]]:
    """Lines of each function from its `def` on, and how many of them are its docstring."""
    functions = [node for node in ast.walk(tree) if isinstance(node, FUNCTION)]
    return [
        (
            node.end_lineno - node.lineno + 1,
            node.body[0].end_lineno - node.body[0].lineno + 1 if ast.get_docstring(node, clean=False) else 0,
        )
        for node in functions
    ]


def _median_p95(values: list[int]) -> tuple[float, float]:
    if len(values) < 2:
        return (values[0], values[0]) if values else (0, 0)
    return statistics.median(values), round(statistics.quantiles(values, n=20, method="inclusive")[-1], 1)


def measure(root: Path, also: Iterable[Path] = (), subfolders: bool = False) -> dict[str, object]:
    """All figures of a package's folder; further folders add rooms and arrows, no lines."""
    if not (root / "__init__.py").is_file():
        raise SystemExit(f"{root} is no package's folder: it has no __init__.py; give one such as src/lensdream")
    parsed = trees(root, also)
    return structure(parsed, imports(parsed, root.name), subfolders) | sizes(root)


def text_of(figures: Mapping[str, object]) -> str:
    """Rooms from the top floor down, then one figure a line."""
    floor_of = figures["floor of"]
    by_floor = {floor: [room for room in floor_of if floor_of[room] == floor] for floor in floor_of.values()}
    shown = {name: value for name, value in figures.items() if name != "floor of"}
    return "\n".join(
        [f"floor {floor:2d}  {'  '.join(rooms)}" for floor, rooms in by_floor.items()]
        + [line for name, value in shown.items() for line in _rows(name, value)]
    )


def _rows(name: str, value: object) -> list[str]:
    if isinstance(value, dict):
        value = [f"{key} {count}" for key, count in value.items()]
    if not isinstance(value, list):
        return [f"{name}: {', '.join(map(str, value)) if isinstance(value, tuple) else value}"]
    return [f"{name}: {len(value)}", *(f"    {each if isinstance(each, str) else ', '.join(each)}" for each in value)]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", nargs="?", type=Path, default=Path("src/lensdream"), help="folder of a package")
    parser.add_argument("--also", nargs="*", type=Path, default=[], help="further folders of scripts, each one room")
    parser.add_argument("--subfolders", action="store_true", help="count folders inside folders as rooms of their own")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    figures = measure(arguments.root, arguments.also, arguments.subfolders)
    print(json.dumps(figures, indent=2) if arguments.json else text_of(figures))


if __name__ == "__main__":
    main()
