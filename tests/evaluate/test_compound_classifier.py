"""The compound test: numbers of made-up scores that can be worked out by hand, and the whole stage on a small store."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from compound_scores import scores_table
from lensdream import metrics
from lensdream.config import CompoundConfig
from lensdream.evaluate import compound_classifier, compound_figures, selection

RNG = np.random.default_rng(4)


SETTINGS = CompoundConfig(bootstrap=50, seed=1, prevalence=0.01, batch_size=64)


THRESHOLDS = {"0.5": 0.0, "fpr_1e-2": 0.5, "fpr_1e-3": 1.0, "fpr_1e-4": 2.0}


MISSED = -np.inf


def seen(single, compound, matched=(0.0,)):
    """The three groups of `classification_metrics`."""
    return {
        name: np.array(scores, float)
        for name, scores in (("single", single), ("compound", compound), ("matched_single", matched))
    }


def test_completeness_is_of_the_lenses_found_and_of_all():
    values = compound_classifier.classification_metrics(seen(np.arange(100), [99.5, 98.5, 50, MISSED]), 0.01)
    assert values["completeness_at_fpr_1e-2"] == pytest.approx(2 / 3)  # one of 100 single lenses is above 98
    assert values["found_and_told_at_fpr_1e-2"] == 0.5
    assert values["purity_at_fpr_1e-2"] == pytest.approx(0.01 * 0.5 / (0.01 * 0.5 + 0.99 * 0.01))
    assert values["completeness_at_matched_fpr_1e-2"] == 1.0


def test_single_lenses_that_the_finder_misses_do_not_spoil_the_purity():
    found = compound_classifier.classification_metrics(seen(np.arange(100), [200.0] * 4), 0.01)
    halved = compound_classifier.classification_metrics(seen([*np.arange(100), *[MISSED] * 100], [200.0] * 4), 0.01)
    assert found["purity_at_fpr_1e-2"] == pytest.approx(0.01 / (0.01 + 0.99 * 0.01))
    assert halved["purity_at_fpr_1e-2"] == pytest.approx(0.01 / (0.01 + 0.99 * 0.005))
    assert halved["completeness_at_fpr_1e-2"] == found["completeness_at_fpr_1e-2"] == 1


def test_compound_lenses_that_the_finder_misses_are_missed():
    values = compound_classifier.classification_metrics(seen(np.arange(100), [200.0, MISSED, MISSED, MISSED]), 0.01)
    assert values["completeness_at_fpr_1e-2"] == 1
    assert values["found_and_told_at_fpr_1e-2"] == 0.25
    assert values["auroc"] == 1


def test_measures_of_no_found_lens_are_nan_and_no_error():
    values = compound_classifier.classification_metrics(seen([MISSED] * 3, [MISSED] * 2, []), 0.01)
    assert all(np.isnan(value) for name, value in values.items() if "found_and_told" not in name)


def test_the_area_is_that_of_scikit_learn():
    some, others = RNG.normal(1, 1, 30).round(1), RNG.normal(0, 1, 50).round(1)  # with ties
    expected = roc_auc_score(np.repeat([1, 0], [30, 50]), np.concatenate([some, others]))
    assert compound_classifier.auroc_of_groups(some, others) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "n_single", "n_matched", "expected"),
    [
        ("auroc", 1, 1, True),
        ("auroc_matched", 1, 1, True),
        ("completeness_at_fpr_1e-2", 100, 1, True),
        ("completeness_at_fpr_1e-2", 99, 1000, False),
        ("purity_at_fpr_1e-3", 999, 1000, False),
        ("purity_at_fpr_1e-3", 1000, 1, True),
        ("completeness_at_matched_fpr_1e-2", 99, 100, True),
        ("completeness_at_matched_fpr_1e-2", 1000, 99, False),
    ],
)
def test_a_rate_needs_as_many_single_lenses_as_it_is_rare(name, n_single, n_matched, expected):
    groups = seen([*np.zeros(n_single), *[MISSED] * 2000], [1.0], [*np.zeros(n_matched), *[MISSED] * 2000])
    assert compound_classifier.is_measurable(name, groups) is expected


def test_the_block_counts_and_orders_as_the_scores_do():
    table = scores_table()
    block = compound_classifier.measure(table, THRESHOLDS, SETTINGS)["found_at_fpr_1e-2"]
    is_found = table["logit"] > 0
    for name in ("compound_arc", "double_ring", "faint_second", "matched_single"):
        own = table["family"] == name
        if name == "matched_single":  # of the compound families, not of the control
            own &= table["partner"].map(table["family"]).isin(["compound_arc", "double_ring"])
        assert block[name]["n"] == (own & is_found).sum()
    assert block["n_single"] == ((table["split"] == "test") & is_found).sum()
    assert block["compound"]["n"] == block["compound_arc"]["n"] + block["double_ring"]["n"]
    rows = [block[name] for name in ("compound_arc", "compound", "double_ring")]
    for key in ("auroc", "auroc_matched", "completeness_at_fpr_1e-2", "purity_at_fpr_1e-2"):
        values = [row[key]["value"] for row in rows]
        assert values == sorted(values), key
    assert all(row["auroc_matched"]["value"] < row["auroc"]["value"] for row in rows)
    arc = block["compound_arc"]["completeness_at_fpr_1e-2"]
    threshold = block["threshold_fpr_1e-2"]
    own = table[(table["family"] == "compound_arc") & is_found]["compound_logit"]
    assert arc["value"] == pytest.approx((own > threshold).mean())
    assert arc["low"] < arc["value"] < arc["high"]
    assert np.isnan(block["compound_arc"]["completeness_at_fpr_1e-3"]["value"])  # some 200 single lenses
    assert 0 <= block["faint_second"]["taken_at_fpr_1e-2"]["value"] < 0.1
    assert "purity 1e-2" in compound_classifier.report(compound_classifier.measure(table, THRESHOLDS, SETTINGS))


def test_completeness_in_bins_is_of_the_lenses_found():
    table = scores_table()
    block = compound_classifier.measure(table, THRESHOLDS, SETTINGS)["found_at_fpr_1e-2"]
    binned = compound_classifier.completeness(table, THRESHOLDS["fpr_1e-2"], block)
    assert set(binned) == set(selection.COMPOUND_EDGES)
    for rows in binned.values():
        assert sum(row["n"] for row in rows) == block["compound"]["n"]
        completeness = sum(row["n"] * row["completeness_at_fpr_1e-2"] for row in rows) / block["compound"]["n"]
        assert completeness == pytest.approx(block["compound"]["completeness_at_fpr_1e-2"]["value"])
        assert "completeness_at_fpr_1e-3" not in rows[0]  # not measurable
    assert len(binned["theta_E_2"]) == 1


def test_groups_are_resampled_each_on_its_own():
    groups = {"a": np.repeat([0.0, 1.0], 200), "b": np.ones(5), "none": np.array([])}

    def means(drawn):
        assert {name: len(part) for name, part in drawn.items()} == {"a": 400, "b": 5, "none": 0}
        return {"a": drawn["a"].mean(), "b": drawn["b"].mean(), "none": float("nan")}

    first, second = (metrics.bootstrap_groups(means, groups, 400, np.random.default_rng(1)) for _ in range(2))
    assert str(first) == str(second)
    assert first["a"]["value"] == 0.5
    assert first["a"]["high"] - first["a"]["low"] == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 400), rel=0.25)
    assert first["b"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert np.isnan(first["none"]["value"])


def test_the_curve_falls_from_the_highest_single_lens():
    taken, complete = compound_figures.curve(np.array([1.0, 3.0, 3.0, MISSED]), np.array([4.0, 2.0, 0.0, MISSED]))
    assert taken.tolist() == [0.0, 0.5]
    assert complete.tolist() == [0.25, 0.5]
