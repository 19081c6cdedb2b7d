"""The measures of the test set."""

import numpy as np
import pandas as pd
import pytest

from lensdream import metrics
from lensdream.config import EvaluateConfig
from lensdream.evaluate import baselines, test_set
from lensdream.families import FAMILIES_NON_LENS

RNG = np.random.default_rng(0)


LABELS = RNG.integers(0, 2, 500)


LOGITS = RNG.normal(size=500) + 1.5 * LABELS


def test_the_test_table_has_all_that_the_brief_names():
    settings = EvaluateConfig(bootstrap=20, seed=1, prevalence=1e-3, batch_size=8)
    family = np.where(LABELS == 1, "lens", np.resize(FAMILIES_NON_LENS, len(LABELS)))
    result = test_set.measure(pd.DataFrame({"family": family, "label": LABELS, "logit": LOGITS}), 1.0, settings)
    for name in (
        "precision", "recall", "accuracy", "f1", "auroc", "tpr_at_fpr_1e-2", "purity_at_prevalence_1e-3",
        "ece", "ece_if_calibrated",
    ):  # fmt: skip
        assert set(result[name]) == {"value", "low", "high"}
    assert result["n_lens"] + result["n_nonlens"] == 500
    assert set(result["families"]) == set(FAMILIES_NON_LENS)
    assert sum(row["n"] for row in result["families"].values()) == result["n_nonlens"]
    false = sum(row["n"] * row["fpr_at_0.5"] for row in result["families"].values())
    assert false == pytest.approx(((LOGITS > 0) & (LABELS == 0)).sum())
    for name in ("tpr_at_fpr_1e-3", "tpr_at_fpr_1e-4", "purity_at_prevalence_1e-3"):  # some 250 non-lenses cannot tell
        assert all(np.isnan(value) for value in result[name].values())
    assert {row["fpr_at_threshold_1e-3"] for row in result["families"].values()} == {None}
    assert "spiral" in test_set.report(result)


def test_the_test_set_is_measured_as_the_validation_split_calibrates():
    """Temperature from one split, thresholds from the non-lenses of the other, the calibration error after scaling."""
    settings = EvaluateConfig(bootstrap=20, seed=1, prevalence=1e-3, batch_size=8)
    rng = np.random.default_rng(5)
    n = 6000
    split, label = np.repeat(["validation", "test"], n // 2), rng.integers(0, 2, n)
    logits = rng.normal(2 * label - 1, 1) * 2  # whose log odds they are
    logits[split == "validation"] *= 3  # and so the temperature is not that of the test set
    family = np.where(label == 1, "lens", "field")
    table = pd.DataFrame({"split": split, "family": family, "label": label})
    found = test_set.measured(table, baselines.Scored(logits, 1, None), settings)
    ours = {name: (logits[split == name], label[split == name]) for name in ("validation", "test")}
    assert found["temperature"] == metrics.fit_temperature(*ours["validation"]) == pytest.approx(3, rel=0.1)
    scores, labels = ours["test"]
    assert found["threshold_fpr_1e-2"] == metrics.threshold_at_fpr(scores[labels == 0], 1e-2)
    assert found["tpr_at_fpr_1e-2"]["value"] == (scores[labels == 1] > found["threshold_fpr_1e-2"]).mean()
    stated = metrics.probability(scores, found["temperature"])
    assert found["ece"]["value"] == metrics.expected_calibration_error(stated, labels)
    assert found["ece_before_calibration"]["value"] < 0.5 * found["ece"]["value"]
    assert found["families"]["field"]["fpr_at_threshold_1e-3"] == pytest.approx(1e-3, abs=5e-4)
