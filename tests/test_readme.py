"""The README's numbers are those of the committed metrics."""

from pathlib import Path

import pytest

from lensdream.report.readme import BEGIN, END, numbers, rewritten
from lensdream.report.table import Table

ROOT = Path(__file__).parents[1]


def test_the_readme_holds_the_committed_metrics():
    page = (ROOT / "README.md").read_text()
    assert rewritten(page, numbers(ROOT)) == page, "run `lensdream readme`"


def test_only_what_stands_between_the_marks_is_rewritten():
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert rewritten(page, "new") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    assert rewritten(rewritten(page, "new"), "old") == page


@pytest.mark.parametrize("page", ["", BEGIN, f"{END}\n{BEGIN}", f"{BEGIN}{BEGIN}{END}"])
def test_a_readme_without_its_marks_is_refused(page):
    with pytest.raises(ValueError, match="once each: put them where the numbers go"):
        rewritten(page, "new")


def test_markdown_sets_numbers_to_the_right():
    table = Table(("name", "n", "remark"), (("a", "1", "b"),), frozenset({2}))
    assert table.as_markdown() == "| name | n | remark |\n| --- | ---: | --- |\n| a | 1 | b |"
