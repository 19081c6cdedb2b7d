"""The README's numbers are those of the committed metrics."""

import pytest

from conftest import ROOT
from lensdream.commands.readme import AT, BEGIN, COMPOUND, END, SCALES, numbers, rewritten, scales
from lensdream.report.table import NOTHING, Table


def test_the_readme_holds_the_committed_metrics():
    page = (ROOT / "README.md").read_text()
    assert rewritten(page, numbers(ROOT)) == page, "run `lensdream readme`"


def test_telling_compound_lenses_has_rows_as_soon_as_a_scale_has_measured_it():
    known, unknown = {"value": 0.7, "low": 0.6, "high": 0.8}, dict.fromkeys(("value", "low", "high"))
    names = ("precision", "recall", "accuracy", "auroc", "tpr_at_fpr_1e-2", "tpr_at_fpr_1e-3", "ece")
    evaluate = dict.fromkeys(SCALES, {"n_lens": 1, "n_nonlens": 2} | dict.fromkeys(names, known))
    train = {scale: {"images_an_epoch": 1, "epochs": 2} for scale in SCALES}
    found = {f"completeness_at_{at}": known for at in AT}
    compound = {scale: dict.fromkeys(COMPOUND, found) for scale in SCALES}
    without = scales(evaluate, compound, train).rows
    row = {"completeness_at_fpr_1e-2": known, "purity_at_fpr_1e-2": known}
    row |= {"completeness_at_fpr_1e-3": unknown, "purity_at_fpr_1e-3": unknown}
    compound["poster"]["compound_head"] = {"found_at_fpr_1e-2": {"compound": row}}
    added = scales(evaluate, compound, train).rows[len(without) :]
    assert scales(evaluate, compound, train).rows[: len(without)] == without
    assert [cells[1:] for cells in added] == [(NOTHING, "0.700 [0.600, 0.800]"), (NOTHING, NOTHING)] * 2
    assert added[2][0].endswith("purity where 1 lens in 100 is compound, at 1e-2")


def test_only_text_between_the_marks_is_rewritten():
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
