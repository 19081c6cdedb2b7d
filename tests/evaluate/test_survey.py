"""Fresh non-lenses in a survey's proportions, and the checks for shortcuts, on cases whose answers are known."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import yaml

from conftest import PARAMS, SURVEY
from lensdream import config, metrics
from lensdream.config import SurveyConfig
from lensdream.evaluate import figures
from lensdream.evaluate import survey as survey_test
from lensdream.families import FAMILIES_NON_LENS

RNG = np.random.default_rng(0)


def test_thresholds_are_quantiles_and_their_interval_covers():
    logits = RNG.normal(size=10_001)
    for rate in (0.1, 0.01, 0.001):
        found = metrics.threshold_interval(logits, rate)
        assert found["value"] == np.quantile(logits, 1 - rate, method="inverted_cdf")
        assert found["low"] < found["value"] < found["high"]
    covered = [
        found["low"] <= 0.99 <= found["high"]
        for found in (metrics.threshold_interval(RNG.random(1000), 0.01) for _ in range(400))
    ]
    assert 0.92 < np.mean(covered) <= 1


def test_a_rate_that_no_non_lens_stands_for_has_no_upper_bound():
    found = metrics.threshold_interval(np.arange(100.0), 1e-4)
    assert found["value"] == 99
    assert np.isnan(found["high"])
    assert np.isnan(metrics.threshold_interval(np.array([]), 0.1)["value"])


def test_no_hit_leaves_room_for_a_rate():
    z = 1.959964
    found = metrics.rare_share(np.zeros(2000, bool))
    assert (found["value"], found["low"]) == (0, 0)
    assert found["high"] == pytest.approx(z**2 / (2000 + z**2), rel=1e-4)
    assert np.isnan(metrics.rare_share(np.array([]))["value"])


def measured():
    """2,000 non-lenses with logits -1999 ... 0 and lenses at known places among them."""
    survey = pd.DataFrame(
        {"family": np.repeat(["field", "elliptical"], [1990, 10]), "logit": np.arange(-1999.0, 1.0) - 0.5}
    )
    lenses = np.array([-30.0, -10.0, -1.0, 5.0])
    return survey_test.measure(survey, lenses, dataclasses.replace(SURVEY, n=2000, bootstrap=50))


def test_the_survey_is_measured_at_its_own_thresholds():
    found = measured()
    assert found["threshold_fpr_1e-2"]["value"] == -20.5  # 20 of 2,000 lie above
    assert found["threshold_fpr_1e-3"]["value"] == -2.5
    assert found["threshold_fpr_1e-4"]["value"] == -0.5
    assert [found[f"tpr_at_fpr_{rate}"]["value"] for rate in ("1e-2", "1e-3")] == [0.75, 0.5]
    assert np.isnan(found["tpr_at_fpr_1e-4"]["value"])  # a fifth of a non-lens stands for it
    assert found["tpr_at_fpr_1e-2"]["low"] <= 0.75 <= found["tpr_at_fpr_1e-2"]["high"]
    assert found["fpr_at_0.5"]["value"] == 0
    assert set(found["families"]) == set(FAMILIES_NON_LENS)
    assert found["families"]["elliptical"] == {
        "n": 10, "fpr_at_0.5": 0.0, "fpr_at_threshold_1e-3": 0.2, "fpr_at_threshold_1e-4": None
    }  # fmt: skip
    assert found["families"]["ring"]["fpr_at_0.5"] is None


def test_the_calibration_is_for_a_survey_s_mix():
    """Logits that are right for equal numbers stay right when non-lenses are ten times as many; stretched ones are mended."""
    rng = np.random.default_rng(3)
    lenses, others, non = (
        rng.normal(mean, 2, n) for mean, n in ((2, 4000), (2, 4000), (-2, 40_000))
    )  # log odds: themselves
    settings = dataclasses.replace(SURVEY, bootstrap=20)
    found = survey_test.calibration(1.5 * non, 1.5 * others, 1.5 * lenses, settings)
    assert found["temperature"] == pytest.approx(1.5, rel=0.05)
    assert found["ece"]["low"] <= found["ece"]["value"] <= found["ece"]["high"] < 0.02


def test_purity_is_that_of_the_rate_above_each_threshold():
    rows = measured()["purity"]
    assert [row["fpr"] for row in rows] == [0, 0.03, 0.01, 0.003, 0.001]  # 3e-4 of 2,000 is less than one
    last = rows[-1]
    assert last["completeness"] == 0.5
    assert last["purity"]["value"] == pytest.approx(0.001 * 0.5 / (0.001 * 0.5 + 0.999 * 0.001))
    assert last["purity"]["low"] < last["purity"]["value"] < last["purity"]["high"]
    assert rows[0]["purity"]["value"] == 1  # one lens and no non-lens


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        (
            "field",
            0.5,
            r"survey.non_lens_shares: the shares add up to 1\.12, they must add up to 1: change one of them",
        ),
        ("star", -0.1, r"survey.non_lens_shares.star: -0.1 is not in \[0, 1\]"),
        ("atlas", 0, r"survey.atlas: 0 is not in \[1, 1000\]"),
        ("tail", 1, "survey.tail: unknown key; known are n, n_peers, atlas"),
    ],
)
def test_bad_settings_are_refused(key, value, told, tmp_path):
    document = yaml.safe_load(PARAMS.read_text())
    settings = document["survey"]
    (settings["non_lens_shares"] if key in SURVEY.non_lens_shares else settings)[key] = value
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(config.ConfigError, match=told):
        config.load("survey", SurveyConfig, "quick", tmp_path / "params.yaml")


def test_families_of_one_scene_can_be_drawn():
    table = pd.DataFrame({"family": ["lens", "empty", "field", "field"], "logit": [3.0, -2.0, -1.0, 2.0]})
    figure = figures.tails_by_family(table, {"0.5": 0.0, "fpr_1e-2": 1.0, "fpr_1e-3": 2.0})
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["empty (1)", "field (2)", "lens (1)"]
