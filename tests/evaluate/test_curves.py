"""Curves as tables: few rows that are on the curve."""

import numpy as np
import pandas as pd
import pytest

from lensdream import metrics
from lensdream.evaluate import curves

RNG = np.random.default_rng(5)


def scored(n_lenses, n_non_lenses):
    """Logits and labels, lenses higher by two."""
    labels = np.repeat([1, 0], [n_lenses, n_non_lenses])
    return RNG.normal(size=len(labels)) + 2 * labels, labels


def test_the_roc_curve_has_few_rows_and_the_quoted_rates_among_them():
    logits, labels = scored(3000, 5000)
    table = curves.roc(logits, labels)
    assert 100 < len(table) <= curves.MOST
    assert table["fpr"].is_monotonic_increasing
    assert table["fpr"].iloc[0] == 1 / 5000
    assert tuple(table.iloc[-1]) == (1, 1)
    for rate in (1e-2, 1e-3):
        (row,) = np.flatnonzero(np.isclose(table["fpr"], rate))
        assert table["tpr"][row] == metrics.tpr_at_fpr(logits, labels, rate)
    for row in table.iloc[:-1].itertuples():
        assert row.tpr == metrics.tpr_at_fpr(logits, labels, row.fpr)


def test_false_positives_that_tie_begin_the_curve_together():
    logits, labels = np.array([3.0, 2, 2, 2, 1, 0]), np.array([1, 0, 0, 1, 1, 0])
    assert curves.roc(logits, labels).to_numpy().tolist() == [[2 / 3, 1], [1, 1]]


@pytest.mark.parametrize("only", [0, 1])
def test_a_single_class_has_an_empty_curve(only):
    assert curves.roc(np.zeros(3), np.full(3, only)).shape == (0, 2)


def test_the_bins_of_the_reliability_diagram_give_the_calibration_error():
    stated = RNG.random(4000)
    labels = (RNG.random(4000) < stated**2).astype(int)
    table = curves.reliability(stated, labels)
    assert table["n"].sum() == 4000
    error = np.average(np.abs(table["predicted"] - table["observed"]), weights=table["n"])
    assert error == pytest.approx(metrics.expected_calibration_error(stated, labels))


def test_bins_with_too_few_images_are_left_out():
    table = curves.reliability(np.array([0.1] * 5 + [0.9] * 4), np.array([0, 0, 0, 0, 1, 1, 1, 1, 1]))
    assert table.to_numpy().tolist() == [[pytest.approx(0.1), 0.2, 5]]


def test_purity_is_the_share_of_lenses_among_the_candidates():
    logits, labels = scored(2000, 4000)
    table = curves.purity(logits[labels == 0], logits[labels == 1], prevalence=1e-3)
    np.testing.assert_allclose(table["purity"] * table["candidates"], 1000 * table["completeness"], rtol=0.01, atol=1)
    assert table["candidates"].iloc[-1] == curves.OBJECTS
    assert table["purity"].iloc[-1] == pytest.approx(1e-3)
    assert table["candidates"].is_monotonic_increasing


@pytest.mark.parametrize(("more", "expected"), [({"completeness_at_fpr_1e-3": 0.25}, 0.25), ({}, 0.5)])
def test_completeness_is_that_of_the_rate_1e_3_where_it_is_measurable(more, expected):
    row = {"low": 20, "high": 30, "n": 7, "completeness_at_0.5": 0.5, "completeness_at_fpr_1e-2": 0.4}
    table = curves.completeness_by_snr({"arc_snr": [row | more], "theta_E": []})
    pd.testing.assert_frame_equal(table, pd.DataFrame({"snr": [25.0], "completeness": [expected], "n": [7]}))


def test_without_lenses_there_are_columns_and_no_rows():
    assert list(curves.completeness_by_snr({"arc_snr": []})) == ["snr", "completeness", "n"]
