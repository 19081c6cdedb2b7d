"""The headline metrics: ten numbers out of the files that have the details."""

import json

import pytest

from conftest import ROOT
from lensdream.report.headline import headline


def number(value):
    return {"value": value, "low": 0.0, "high": 1.0}


def details(survey=0.7, **compound):
    evaluate = {
        "auroc": number(0.91), "precision": number(0.82), "recall": number(0.73), "accuracy": number(0.84),
        "tpr_at_fpr_1e-2": number(0.1), "tpr_at_fpr_1e-3": number(0.65), "ece": number(0.012345),
        "ou66": {"auroc": number(0.5)},
    }  # fmt: skip
    classifier = {"found_at_fpr_1e-2": {"compound": {"auroc": number(0.86)}}}
    found = {"completeness_at_0.5": number(0.99)} | {key: number(value) for key, value in compound.items()}
    arcs, rings = found, found | {"completeness_at_0.5": number(0.98)}
    return (
        evaluate,
        {"tpr_at_fpr_1e-3": number(survey)},
        {"compound_arc": arcs, "double_ring": rings, "compound_head": classifier},
    )


def test_each_number_is_that_of_the_details():
    assert headline(*details(**{"completeness_at_survey_fpr_1e-3": 0.4})) == {
        "auroc": 0.91, "precision": 0.82, "recall": 0.73, "accuracy": 0.84, "tpr_1e-3": 0.65, "survey_1e-3": 0.7,
        "arcs": 0.4, "rings": 0.4, "compound": 0.86, "ece": 0.0123,
    }  # fmt: skip


def test_compound_lenses_are_found_at_0_5_where_the_survey_is_too_small():
    found = headline(*details(survey=None))
    assert (found["survey_1e-3"], found["arcs"], found["rings"]) == (None, 0.99, 0.98)


@pytest.mark.parametrize("scale", ["quick", "poster"])
def test_the_committed_headlines_are_those_of_the_committed_details(scale):
    folder = ROOT / "metrics" / scale
    files = ("evaluate", "survey-test", "compound-test")
    expected = headline(*(json.loads((folder / f"{name}.json").read_text()) for name in files))
    assert json.loads((folder / "headline.json").read_text()) == expected
