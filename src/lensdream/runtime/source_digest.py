"""Digests of the code behind a result: of the syntax trees of the modules that it imports, without what changes no number.

Docstrings, comments, layout, the texts of settings, of errors and of `print` do not count. A module is followed by its import
statements, those inside functions too. Of `lensdream.config` the settings that are imported count, one by one, so that a new
setting of one stage leaves the others as they are. A data file counts for the module that names it. The form that is hashed is
the same on every version of Python.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

PACKAGE = "lensdream"
SOURCE = Path(__file__).parents[1]
"""folder of the package"""
SETTINGS = "config"
"""room of the settings, of which single definitions count"""
SETTINGS_READING = ("config.fields", "config.loading", "config.comments")
"""modules of that room that hold no settings"""
TEXTS = {"setting": (3, 4), "switch": (1,), "part": (1,), "mix": (0,), "choice": ()}
"""functions of a setting's field, and which of their positional arguments are texts"""
TEXT_NAMES = ("text", "unit")
SILENT = ("type_comment", "kind", "type_ignores", "ctx")
"""fields of syntax trees that say nothing, or not on every version of Python"""


def digests(
    roots: Iterable[str], *, without: Callable[[str], bool] = lambda module: False, source: Path = SOURCE
) -> dict[str, str]:
    """Digest of every module of the package that the modules `roots` import, themselves included.

    Parameters
    ----------
    roots : iterable of str
        Modules within the package, such as `dataset.write`.
    without : callable
        Whether a module is left out, and not followed.
    source : Path
        Folder of the package.

    Returns
    -------
    dict of str
        The first 16 hex digits of a sha256, by module; by `module:Name` for settings and `module/file` for data files; sorted.

    Raises
    ------
    ModuleNotFoundError
        For a root that the package does not have.
    """
    found: dict[str, str] = {}
    settings: set[str] = set()
    waiting = list(roots)
    unknown = [name for name in waiting if _file_of(name, source) is None]
    if unknown:
        raise ModuleNotFoundError(f"no module {', '.join(unknown)} in {source}")
    while waiting:
        name = waiting.pop()
        if name in found or without(name) or name in SETTINGS_READING:
            continue
        module = _module(_file_of(name, source), source)
        found[name] = module.digest
        found |= {f"{name}/{file.name}": _sha256(_content(file)) for file in module.data}
        settings |= module.settings
        waiting += module.imports
    return dict(sorted((found | _settings_digests(settings, source)).items()))


def canonical(node: object) -> str:
    """Text of a syntax tree that comments, docstrings and messages leave as it is, on every version of Python."""
    if isinstance(node, ast.Raise):
        return f"(Raise {canonical(node.exc.func if isinstance(node.exc, ast.Call) else node.exc)})"
    if isinstance(node, ast.AST):
        node = _without_texts(node)
        fields = ((name, value) for name, value in ast.iter_fields(node) if name not in SILENT)
        written = (f"{name}={canonical(value)}" for name, value in fields if value not in (None, []))
        return f"({type(node).__name__} {' '.join(written)})"
    if isinstance(node, list):
        return f"[{' '.join(canonical(each) for each in node if not _says_nothing(each))}]"
    return repr(node)


def _says_nothing(node: object) -> bool:
    """Whether a statement is a docstring or prints."""
    if not isinstance(node, ast.Expr):
        return False
    value = node.value
    prints = isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "print"
    return prints or (isinstance(value, ast.Constant) and isinstance(value.value, str))


def _without_texts(node: ast.AST) -> ast.AST:
    """A call that makes a setting's field, without its texts; any other node as it is."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in TEXTS):
        return node
    texts = TEXTS[node.func.id]
    arguments = [argument for place, argument in enumerate(node.args) if place not in texts]
    if node.func.id == "mix":
        arguments = [_shares_alone(argument) for argument in arguments]
    return ast.Call(node.func, arguments, [given for given in node.keywords if given.arg not in TEXT_NAMES])


def _shares_alone(shares: ast.expr) -> ast.expr:
    """Shares by family, without the remark on each."""
    if not isinstance(shares, ast.Dict):
        return shares
    return ast.Dict(shares.keys, [each.elts[0] if isinstance(each, ast.Tuple) else each for each in shares.values])


@dataclass(frozen=True)
class _Module:
    digest: str
    imports: tuple[str, ...]
    settings: frozenset[str]
    """names that are taken from the room of the settings"""
    data: tuple[Path, ...]
    """files beside it that it names"""


def _module(file: Path, source: Path) -> _Module:
    state = file.stat()
    return _module_of(file, source, state.st_mtime_ns, state.st_size)


@cache  # a module is imported by many stages
def _module_of(file: Path, source: Path, changed: int, size: int) -> _Module:
    tree = ast.parse(file.read_text(), str(file))
    taken = list(_imports(tree, source))
    settings = {member for module, member in taken if module.partition(".")[0] == SETTINGS}
    if "" in settings:  # the room itself was imported, and its names are used as `config.Name`
        attributes = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))
        settings |= {node.attr for node in attributes if isinstance(node.value, ast.Name) and node.value.id == SETTINGS}
    imports = tuple(module for module, _ in taken if module.partition(".")[0] != SETTINGS)
    return _Module(_sha256(canonical(tree)), imports, frozenset(settings), tuple(_data_files(tree, file.parent)))


def _imports(tree: ast.Module, source: Path) -> Iterator[tuple[str, str]]:
    """Modules of the package that a module imports, each with the name that is taken from it."""
    for node in _import_nodes(tree.body):
        if isinstance(node, ast.Import):
            taken = [(alias.name, "") for alias in node.names]
        else:
            taken = [(node.module or "", alias.name) for alias in node.names]
        for module, member in taken:
            first, _, inside = module.partition(".")
            if first != PACKAGE:
                continue
            whole = f"{inside}.{member}".strip(".")
            if member and _file_of(whole, source) is not None:
                yield whole, ""
            elif inside:
                yield inside, member


def _import_nodes(body: Iterable[ast.AST]) -> Iterator[ast.Import | ast.ImportFrom]:
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
            yield from _import_nodes(ast.iter_child_nodes(node))


def _file_of(name: str, source: Path) -> Path | None:
    """File of a module within the package, `__init__.py` for a folder; none for another name."""
    path = source.joinpath(*name.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return file
    return None


def _data_files(tree: ast.Module, folder: Path) -> list[Path]:
    """Files beside a module that it names in a string and that are no code."""
    named = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return sorted(file for file in folder.iterdir() if file.name in named and file.is_file() and file.suffix != ".py")


def _content(file: Path) -> str:
    """Content of a data file; of YAML without its comments."""
    text = file.read_text()
    return repr(yaml.safe_load(text)) if file.suffix in (".yml", ".yaml") and "!" not in text else text


def _settings_digests(names: Iterable[str], source: Path) -> dict[str, str]:
    """Digests of these settings, and of those that they are made of, by `config:Name`."""
    definitions = _definitions(source / SETTINGS)
    found: dict[str, str] = {}
    waiting = [name for name in names if name in definitions]
    while waiting:
        name = waiting.pop()
        key = f"{SETTINGS}:{name}"
        if key in found:
            continue
        node = definitions[name]
        found[key] = _sha256(canonical(node))
        used = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
        waiting += sorted(used & definitions.keys())
    return found


def _definitions(folder: Path) -> Mapping[str, ast.AST]:
    """Classes and constants of the modules of settings, by name."""
    found: dict[str, ast.AST] = {}
    for file in sorted(folder.glob("*.py")):
        if f"{SETTINGS}.{file.stem}" in SETTINGS_READING:
            continue
        for node in ast.parse(file.read_text(), str(file)).body:
            if isinstance(node, ast.ClassDef):
                found[node.name] = node
            elif isinstance(node, ast.Assign):
                found |= {target.id: node for target in node.targets if isinstance(target, ast.Name)}
    return found


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
