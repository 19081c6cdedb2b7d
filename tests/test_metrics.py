"""Metrics on cases that can be worked out by hand, and against scikit-learn."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score

from conftest import PARAMS, write_images
from lensdream import config, metrics
from lensdream.commands import evaluate
from lensdream.commands.paths import Paths
from lensdream.config import EvaluateConfig, SurveyConfig
from lensdream.evaluate import baselines
from lensdream.families import FAMILIES_NON_LENS, NON_LENS_CLASSES
from lensdream.finder import operating_points
from lensdream.instrument import EUCLID, Band
from lensdream.networks.class_prior import ClassPrior, save_class_prior
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.model_file import save_model
from lensdream.networks.ou import OU66, OUConfig

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


def scored(strength, images):
    noise = np.random.default_rng(8).normal(size=5000)  # the same for all: only the strength differs
    return baselines.Scored(noise + strength * np.tile(LABELS, 10), 7, images)


def test_every_baseline_is_compared_with_the_finder():
    settings = EvaluateConfig(bootstrap=20, seed=1, prevalence=1e-3, batch_size=8)
    others = {"ou66": scored(1.5, 6000), "worse": scored(1.0, 500), "better": scored(2.0, 500)}
    found = baselines.missed_ratios(others, scored(3.0, 6000), np.ones(5000, bool), np.tile(LABELS, 10), settings)
    assert all(set(block) == {"missed_at_fpr_1e-3_ratio"} for block in found.values())
    ratios = [found[name]["missed_at_fpr_1e-3_ratio"]["value"] for name in ("better", "ou66", "worse")]
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
    (paths.baselines / "empty").mkdir(parents=True)
    settings = EvaluateConfig(bootstrap=20, seed=1, prevalence=0.001, batch_size=32)
    blocks = {"evaluate": settings, "survey": config.load("survey", SurveyConfig, "quick", PARAMS)}
    document = {name: dataclasses.asdict(block) for name, block in blocks.items()} | {"scales": {"tiny": {}}}
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
    assert "empty" not in both
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
