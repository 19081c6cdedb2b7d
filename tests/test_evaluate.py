"""Metrics on cases that can be worked out by hand, and against scikit-learn."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score

from conftest import write_images
from lensdream import config, metrics
from lensdream.commands import evaluate
from lensdream.commands.paths import Paths
from lensdream.config import CompoundConfig, EvaluateConfig, SurveyConfig
from lensdream.evaluate import baselines, compound, figures, selection, test_set
from lensdream.families import FAMILIES_NON_LENS, NON_LENS_CLASSES
from lensdream.finder import operating_points
from lensdream.finder.operating_points import OperatingPoints
from lensdream.instrument import EUCLID, Band
from lensdream.networks.class_prior import ClassPrior, save_class_prior
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.model_file import save_model
from lensdream.networks.ou import OU66, OUConfig
from test_fresh import PARAMS

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 2, 500)
LOGITS = RNG.normal(size=500) + 1.5 * LABELS


def test_counts_agree_with_scikit_learn():
    found = LOGITS > 0
    assert metrics.precision(found, LABELS) == pytest.approx(precision_score(LABELS, found))
    assert metrics.recall(found, LABELS) == pytest.approx(recall_score(LABELS, found))
    assert metrics.f1(found, LABELS) == pytest.approx(f1_score(LABELS, found))
    assert metrics.auroc(LOGITS, LABELS) == pytest.approx(roc_auc_score(LABELS, LOGITS))


def test_ties_count_half_in_the_roc():
    assert metrics.auroc(np.zeros(4), np.array([0, 1, 0, 1])) == 0.5


@pytest.mark.parametrize(("fpr", "expected"), [(0.0, 9), (0.1, 8), (0.25, 7), (1e-4, 9)])
def test_threshold_lets_at_most_its_rate_through(fpr, expected):
    scores = np.arange(10.0)
    threshold = metrics.threshold_at_fpr(scores, fpr)
    assert threshold == expected
    assert (scores > threshold).mean() <= fpr


def test_completeness_before_false_positives():
    logits, labels = np.array([5.0, 4, 3, 2, 1]), np.array([1, 0, 1, 0, 1])
    assert metrics.tpr_before_false_positives(logits, labels, 0) == pytest.approx(1 / 3)
    assert metrics.tpr_before_false_positives(logits, labels, 1) == pytest.approx(2 / 3)
    assert metrics.tpr_before_false_positives(logits, labels, 5) == 1


def test_purity_of_a_survey():
    # 1 lens in 1,000: 0.9 found against 0.999 false alarms
    assert metrics.purity_at_prevalence(0.9, 1e-3, 1e-3) == pytest.approx(0.9 / (0.9 + 0.999))


def test_calibration_error_of_known_cases():
    labels = np.array([1, 0, 1, 0])
    assert metrics.expected_calibration_error(np.full(4, 0.5), labels) == pytest.approx(0.0)
    assert metrics.expected_calibration_error(np.full(4, 0.9), labels) == pytest.approx(0.4)
    weights = metrics.equal_classes(np.array([1, 0, 0, 0]))
    assert weights.tolist() == pytest.approx([2, 2 / 3, 2 / 3, 2 / 3])
    assert metrics.expected_calibration_error(np.full(4, 0.5), np.array([1, 0, 0, 0]), weights) == pytest.approx(0.0)


def test_the_interval_of_a_calibration_error_is_not_of_errors_that_resampling_adds():
    """The error of 3,000 images whose logits are half too large again lies in it, at the nominal rate within its scatter."""
    rng = np.random.default_rng(1)

    def drawn(n):
        logits = rng.normal(size=n) * 3
        return logits, (rng.random(n) < metrics.probability(logits)).astype(int)

    def error(logits, labels):
        return metrics.expected_calibration_error(metrics.probability(1.5 * logits), labels)

    many, _ = drawn(1_000_000)
    truth = metrics.expected_calibration_error(metrics.probability(1.5 * many), metrics.probability(many))
    intervals = [metrics.bootstrap(error, *drawn(3000), 100, rng, biased=True) for _ in range(60)]
    assert sum(found["low"] <= truth <= found["high"] for found in intervals) >= 50
    logits, labels = drawn(3000)
    found = metrics.bootstrap(error, logits, labels, 100, rng, biased=True)
    assert found["low"] <= found["value"] <= found["high"]
    right = metrics.error_if_calibrated(metrics.probability(logits), 100, rng)
    measured = metrics.expected_calibration_error(metrics.probability(logits), labels)
    assert 0 < right["low"] < right["value"] < right["high"] < truth
    assert measured == pytest.approx(right["value"], abs=2 * (right["high"] - right["low"]))


def test_completeness_has_the_threshold_s_scatter():
    """As the bootstrap of lenses and non-lenses has it, which the survey's completeness is from."""
    rng = np.random.default_rng(2)
    non, lenses = rng.normal(size=2000), rng.normal(2, 1, 20_000)
    drawn = metrics.resampled_thresholds(non, {"1e-2": 1e-2}, 400, rng)["1e-2"]
    found = metrics.completeness(lenses, metrics.threshold_at_fpr(non, 1e-2), drawn, rng)
    labels = np.repeat([0, 1], [len(non), len(lenses)])
    expected = metrics.bootstrap(
        lambda s, y: metrics.tpr_at_fpr(s, y, 1e-2), np.concatenate([non, lenses]), labels, 400, rng
    )
    assert found["value"] == expected["value"]
    assert found["low"] == pytest.approx(expected["low"], abs=0.02)
    assert found["high"] == pytest.approx(expected["high"], abs=0.02)
    fixed = metrics.completeness(lenses, 2.3, np.full(400, 2.3), rng)
    assert fixed["high"] - fixed["low"] < 0.3 * (found["high"] - found["low"])


def test_temperature_mends_overconfidence():
    p = RNG.uniform(0.02, 0.98, 20_000)
    labels = (RNG.random(20_000) < p).astype(int)
    logits = 3.0 * np.log(p / (1 - p))
    assert metrics.fit_temperature(logits, labels) == pytest.approx(3.0, rel=0.05)


def test_bootstrap_interval_covers_and_reproduces():
    first, second = (metrics.bootstrap(metrics.auroc, LOGITS, LABELS, 300, np.random.default_rng(1)) for _ in range(2))
    assert first == second
    assert first["low"] < first["value"] < first["high"]
    assert first["high"] - first["low"] == pytest.approx(4 * 0.016, rel=0.4)  # Hanley & McNeil's error for 250 + 250


def test_degenerate_inputs_are_nan_not_errors():
    assert np.isnan(metrics.precision(np.array([False]), np.array([1])))
    assert np.isnan(metrics.auroc(np.ones(3), np.ones(3)))
    assert np.isnan(metrics.threshold_at_fpr(np.array([]), 0.1))
    assert np.isnan(metrics.share_with_interval(np.array([]), 10, RNG)["value"])


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


def test_compound_table_pairs_each_family_with_its_matched_singles():
    table = pd.DataFrame(
        {
            "index": [10, 11, 12, 13, 14, 15],
            "partner": [11, 10, 13, 12, 15, 14],
            "family": [
                "compound_arc", "matched_single", "double_ring", "matched_single", "faint_second", "matched_single",
            ],
            "logit": [2.0, -1.0, 4.0, 3.0, -2.0, 1.0],
            "survey_logit": [2.0, -1.0, 3.0, 4.0, -2.0, 1.0],
        }
    )  # fmt: skip
    settings = CompoundConfig(bootstrap=50, seed=1, prevalence=0.01, batch_size=2)
    non_lenses = {"logit": np.full(100, 2.5), "survey_logit": np.full(100, 3.5)}
    result = compound.measure(table, non_lenses, settings)
    assert result["matched_single"]["n"] == 2  # not the control's
    assert result["matched_single"]["completeness_at_0.5"]["value"] == 0.5
    assert {name: row["n"] for name, row in result.items() if name.startswith("matched_single_of_")} == {
        "matched_single_of_compound_arc": 1, "matched_single_of_double_ring": 1, "matched_single_of_faint_second": 1,
    }  # fmt: skip
    assert result["faint_second"]["completeness_at_0.5"]["value"] == 0
    assert result["matched_single_of_faint_second"]["completeness_at_0.5"]["value"] == 1
    assert result["matched_single_of_double_ring"]["completeness_at_fpr_1e-2"]["value"] == 1
    assert result["matched_single_of_compound_arc"]["completeness_at_0.5"]["value"] == 0
    assert result["compound_arc"]["completeness_at_fpr_1e-2"]["value"] == 0
    assert result["double_ring"]["completeness_at_survey_fpr_1e-2"]["value"] == 0  # the survey's logits, not the others
    assert result["matched_single_of_double_ring"]["completeness_at_survey_fpr_1e-2"]["value"] == 1
    assert result["double_ring"]["completeness_at_0.5"] == {"value": 1.0, "low": 1.0, "high": 1.0}


def test_selection_function_counts_every_lens_once():
    n = 200
    truth = pd.DataFrame(
        {
            "theta_E_1": RNG.uniform(0.1, 5, n), "arc_snr_1": RNG.uniform(20, 2000, n),
            "flux_source_1_VIS": RNG.uniform(0.01, 5, n), "flux_target_VIS": RNG.uniform(1, 1e5, n),
        }
    )  # fmt: skip
    table = selection.completeness(truth, np.ones(n), {"0.5": 0.0})
    for rows in table.values():
        assert sum(row["n"] for row in rows) == n
        assert all(row["completeness_at_0.5"] == 1 for row in rows)


def test_operating_points_travel(tmp_path):
    points = OperatingPoints({"fpr_1e-2": 1.5}, 1.2, merit=0.7)
    operating_points.write(tmp_path, points)
    assert operating_points.read(tmp_path) == operating_points.read_best(tmp_path) == points
    with pytest.raises(FileNotFoundError, match="run the evaluate stage"):
        operating_points.read(tmp_path / "none")


def test_the_map_has_completeness_and_counts_in_cells():
    truth = pd.DataFrame(
        {
            "theta_E_1": [0.3, 0.3, 0.3, 1.7],
            "arc_snr_1": [22.0, 22, 70, 22],
            "flux_source_1_VIS": 1.0,
            "flux_target_VIS": 1.0,
        }
    )
    first, second, third = selection.completeness_map(truth, np.array([1.0, 3, 1, 3]), 2.0)
    assert first == {
        "theta_E_low": 0.2, "theta_E_high": 0.4, "arc_snr_low": 20, "arc_snr_high": 25, "n": 2, "completeness": 0.5,
    }  # fmt: skip
    assert (second["arc_snr_low"], second["completeness"]) == (60, 0)
    assert (third["theta_E_low"], third["n"], third["completeness"]) == (1.5, 1, 1)
    drawn = figures.selection_map([first, second, third], "title").axes[0]
    assert sorted(text.get_text() for text in drawn.texts) == ["0.00\n1", "0.50\n2", "1.00\n1"]


def test_missed_lenses_are_compared_at_each_network_s_own_threshold():
    labels = np.array([0, 0, 1, 1, 1, 1])
    ours = np.array([0.0, 1.0, 0.5, 2, 2, 2])  # misses one
    theirs = 10 * np.array([0.0, 1.0, 0.5, 0.5, 0.5, 2])  # misses three, on another scale
    assert metrics.missed_ratio(np.stack([theirs, ours], 1), labels, 1e-3) == 3
    assert metrics.missed_ratio(np.stack([ours, ours], 1), labels, 1e-3) == 1
    assert np.isnan(metrics.missed_ratio(np.stack([ours, labels], 1), labels, 1e-3))


def scored(strength, images):
    noise = np.random.default_rng(8).normal(size=5000)  # the same for all: only the strength differs
    return baselines.Scored(noise + strength * np.tile(LABELS, 10), 7, images)


def test_every_baseline_is_compared_with_the_finder():
    settings = EvaluateConfig(bootstrap=20, seed=1, prevalence=1e-3, batch_size=8)
    others = {"ou66": scored(1.5, 6000), "ou200": scored(1.0, 500), "lensnet-wide": scored(2.0, 500)}
    found = baselines.missed_ratios(others, scored(3.0, 6000), np.ones(5000, bool), np.tile(LABELS, 10), settings)
    assert all(set(block) == {"missed_at_fpr_1e-3_ratio"} for block in found.values())
    ratios = [found[name]["missed_at_fpr_1e-3_ratio"]["value"] for name in ("lensnet-wide", "ou66", "ou200")]
    assert 1 < ratios[0] < ratios[1] < ratios[2]
    assert set(found["ou66"]["missed_at_fpr_1e-3_ratio"]) == {"value", "low", "high"}
    few = baselines.missed_ratios(
        others, scored(3.0, 6000), np.arange(5000) < 500, LABELS, settings
    )  # some 250 cannot tell
    assert all(np.isnan(block["missed_at_fpr_1e-3_ratio"]["value"]) for block in few.values())


def test_baselines_have_blocks_like_the_finders(tmp_path, capsys):
    """The whole stage on a small store: with a baseline, and a folder that holds no model."""
    paths = Paths("tiny", tmp_path)
    write_store(paths)
    save_model(paths.model, LensNet(LensNetConfig(4)), 32)
    (paths.baselines / "ou200").mkdir(parents=True)
    settings = EvaluateConfig(bootstrap=20, seed=1, prevalence=0.001, batch_size=32)
    blocks = {"evaluate": settings, "survey": config.load("survey", SurveyConfig, "quick", PARAMS)}
    document = {name: {"shared": dataclasses.asdict(block), "tiny": {}} for name, block in blocks.items()}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document))
    evaluate.run("tiny", tmp_path)
    alone = json.loads(paths.metrics("evaluate").read_text())
    assert "ou66" not in alone
    assert alone["images_trained_on"] is None
    points = operating_points.read(paths.model)
    assert points.temperature == alone["temperature"] != 1
    rates = operating_points.measurable(alone["n_nonlens"])
    assert points.thresholds == {f"fpr_{rate}": alone[f"threshold_fpr_{rate}"] for rate in rates}
    table = pd.read_parquet(paths.scores / "test.parquet")
    undetectable = table[table["family"] == "undetectable"]["logit"]
    assert alone["undetectable"]["n"] == len(undetectable)
    assert alone["undetectable"]["found_at_0.5"] == (undetectable > 0).mean()
    assert alone["undetectable"]["found_at_threshold_1e-3"] is None  # too few non-lenses for that threshold
    of_ours_only = {"undetectable", "selection_function", "one_look", "looks_an_image", "looked_at_again"}
    of_others = set(alone) - of_ours_only | {"missed_at_fpr_1e-3_ratio"}
    assert set(alone["one_look"]) == of_others
    assert alone["looks_an_image"] == pytest.approx(1 + 7 * alone["looked_at_again"])
    assert 0 < alone["looked_at_again"] <= 1
    assert "ou66" not in capsys.readouterr().out
    save_model(paths.baselines / "ou66", OU66(OUConfig()), 32, 45)
    evaluate.run("tiny", tmp_path)
    both = json.loads(paths.metrics("evaluate").read_text())
    block = both.pop("ou66")
    assert both == alone  # ours does not change because another is measured
    assert set(block) == of_others
    assert (block["parameters"], block["images_trained_on"]) == (203_192, 45)
    assert "ou200" not in both
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("ou66"))
    assert row.split()[1:3] == ["203192", "45"]
    scores = pd.read_parquet(paths.scores / "test.parquet")
    assert "logit_ou66" in scores
    assert scores["survey_logit"].equals(scores["logit"])  # there is nothing to tell kinds of non-lenses by
    save_model(paths.second, LensNet(LensNetConfig(6)), 32, 45)
    evaluate.run("tiny", tmp_path)
    joined = json.loads(paths.metrics("evaluate").read_text())
    assert joined["alone"]["auroc"] == alone["auroc"]  # what it was without the second network
    assert joined["parameters"] == alone["parameters"] + joined["second"]["parameters"]
    scores = pd.read_parquet(paths.scores / "test.parquet")
    assert not scores["logit"].equals(scores["logit_alone"])
    save_class_prior(
        paths.model,
        ClassPrior(
            torch.randn(len(NON_LENS_CLASSES), 48),
            torch.zeros(len(NON_LENS_CLASSES)),
            dict.fromkeys(NON_LENS_CLASSES, 0.1),
        ),
    )
    evaluate.run("tiny", tmp_path)
    told = pd.read_parquet(paths.scores / "test.parquet")
    np.testing.assert_allclose(
        told["logit"], scores["logit"], atol=1e-6
    )  # the test set's numbers stay those of training's shares
    assert (told["survey_logit"] - told["logit"]).abs().max() > 0.05


def write_store(paths):
    """A store of validation and test images, lenses as bright squares, and six that are neither."""
    n = 120
    family = np.where(np.arange(n) % 2, "lens", np.resize(FAMILIES_NON_LENS, n)).astype(object)
    family[-6:] = "undetectable"
    sigma = np.array(EUCLID.sky_sigma)[:, None, None]
    images = RNG.normal(size=(n, len(Band), 32, 32)) * sigma
    images[family == "lens", :, 12:20, 12:20] += 5 * sigma
    truth = pd.DataFrame(
        {
            "index": np.arange(n), "family": family,
            "label": np.where(family == "undetectable", -1, family == "lens"),
            "split": np.where(np.arange(n) < 40, "validation", "test"), "theta_E_1": 0.8, "arc_snr_1": 30.0,
            "flux_source_1_VIS": 1.0, "flux_target_VIS": 20.0,
        }
    )  # fmt: skip
    write_images(paths.images, truth, images)
