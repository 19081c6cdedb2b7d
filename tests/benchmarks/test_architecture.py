"""What benchmarks/architecture.py counts, on toy packages."""

import json
import sys

import pytest

import architecture


@pytest.fixture
def package(tmp_path):
    """Writes a package `toy` from texts by file name and gives its folder."""

    def write(**texts):
        root = tmp_path / "toy"
        for name, text in {"__init__": "", **texts}.items():
            path = root / f"{name.replace('__', '/') if name != '__init__' else name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return root

    return write


def test_a_room_stands_one_floor_above_the_highest_that_it_imports(package):
    root = package(
        cli="from toy.sky import noise\nimport toy.files\n", sky__noise="from toy import files\n", files="import os\n"
    )
    figures = architecture.measure(root)
    assert figures["floor of"] == {"cli": 3, "sky": 2, "files": 1}
    assert (figures["rooms"], figures["floors"], figures["arrows"]) == (3, 3, 3)
    assert figures["circles of rooms"] == figures["arrows that do not run down"] == []


def test_rooms_in_a_circle_share_a_floor_and_are_named(package):
    root = package(top="import toy.a\n", a="from . import b\n", b="from toy import a, ground\n", ground="")
    figures = architecture.measure(root)
    assert figures["floor of"] == {"top": 3, "a": 2, "b": 2, "ground": 1}
    assert figures["circles of rooms"] == [["a", "b"]]
    assert figures["arrows that do not run down"] == ["a -> b", "b -> a"]


def test_a_circle_of_files_inside_one_room_is_no_circle_of_rooms(package):
    figures = architecture.measure(package(sky__a="from toy.sky import b\n", sky__b="from .a import x\n"))
    assert figures["circles of rooms"] == []
    assert figures["circles of files"] == [["sky/a.py", "sky/b.py"]]


def test_an_import_inside_a_function_is_listed_as_lazy_unless_another_file_of_the_room_makes_it_at_once(package):
    lazy = "def f():\n    from toy import files\n"
    assert architecture.measure(package(sky__a=lazy, files=""))["lazy arrows"] == ["sky -> files"]
    figures = architecture.measure(package(sky__a=lazy, sky__b="import toy.files\n", files=""))
    assert figures["lazy arrows"] == []
    assert figures["arrows"] == 1


def test_imports_for_types_alone_are_not_counted(package):
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from toy import b\nelse:\n    from toy import c\n"
    root = package(a=text, b="", c="")
    assert architecture.imports(architecture.trees(root), "toy") == [("a.py", "c.py", 5, False)]


def test_a_folder_inside_a_folder_is_a_room_if_asked_for(package):
    root = package(maps__page="from toy.maps.study import scores\n", maps__study__scores="")
    assert architecture.measure(root)["floor of"] == {"maps": 1}
    assert architecture.measure(root, subfolders=True)["floor of"] == {"maps": 2, "maps/study": 1}


def test_a_name_out_of_a_package_leads_to_its_init_and_to_its_folder(package):
    root = package(a="from toy.sky import Noise\nfrom toy import Finder, __version__\n", sky____init__="")
    (root / "sky").mkdir(exist_ok=True)
    (root / "sky" / "__init__.py").write_text("")
    found = architecture.imports(architecture.trees(root), "toy")
    assert [each.target for each in found] == ["__init__.py", "sky/__init__.py"]


def test_a_folder_of_scripts_beside_the_package_is_one_room(package, tmp_path):
    scripts = tmp_path / "benchmarks"
    scripts.mkdir()
    (scripts / "speed.py").write_text("from toy import files\n")
    figures = architecture.measure(package(files=""), [scripts])
    assert figures["floor of"] == {"benchmarks": 2, "files": 1}
    assert figures["modules"] == 2  # of the package alone


def test_the_length_of_a_function_is_counted_with_and_without_its_docstring(package):
    text = '@cached\ndef f():\n    """One.\n\n    Two.\n    """\n    return 1\n\n\ndef g():\n    """Only."""\n'
    figures = architecture.measure(package(a=text))
    assert figures["functions"] == 2
    assert figures["function median, p95"] == (1.5, 1.9)
    assert figures["with docstring"] == (4.0, 5.8)


def test_modules_above_300_lines_are_listed(package):
    figures = architecture.measure(package(short="x = 1\n" * 300, long="x = 1\n" * 301))
    assert figures["long modules"] == {"long.py": 301}
    assert figures["lines"] == 601


def test_a_folder_that_is_no_package_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="no __init__.py; give one such as src/lensdream"):
        architecture.measure(tmp_path)


def test_text_and_json_give_the_same_figures(package, monkeypatch, capsys):
    root = package(a="from toy import b\n", b="")
    monkeypatch.setattr(sys, "argv", ["architecture.py", str(root), "--json"])
    architecture.main()
    figures = json.loads(capsys.readouterr().out)
    assert figures == json.loads(json.dumps(architecture.measure(root)))
    monkeypatch.setattr(sys, "argv", ["architecture.py", str(root)])
    architecture.main()
    printed = capsys.readouterr().out.splitlines()
    assert printed[:2] == ["floor  2  a", "floor  1  b"]
    assert f"arrows: {figures['arrows']}" in printed
