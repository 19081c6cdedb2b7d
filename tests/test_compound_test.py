"""The compound test: numbers of made-up scores that can be worked out by hand, and the whole stage on a small store."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from sklearn.metrics import roc_auc_score

from conftest import write_images
from lensdream import metrics
from lensdream.commands import compound_test
from lensdream.commands.paths import Paths
from lensdream.config import CompoundConfig
from lensdream.evaluate import compound, compound_classifier, compound_figures, selection
from lensdream.families import NON_LENS_CLASSES
from lensdream.finder import operating_points
from lensdream.finder.operating_points import OperatingPoints
from lensdream.instrument import EUCLID, Band
from lensdream.networks.class_prior import ClassPrior, save_class_prior
from lensdream.networks.layout import COMPOUND, SURVEY_POINTS
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.model_file import save_model

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


def test_nothing_found_is_nan_and_no_error():
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


def scores_table(n=400):
    """Half the lenses found at any rate; compound ones a little above the single ones, and above their matched ones."""
    families = ["compound_arc", "double_ring", "faint_second"]
    rows = []
    for family, shift in zip(families, (2.0, 3.0, 0.0), strict=True):
        for _ in range(n):
            here = len(rows)
            rows.append((here, here + 1, "compound", family, RNG.choice([-5.0, 5.0]), RNG.normal(shift)))
            rows.append((here + 1, here, "compound", "matched_single", RNG.choice([-5.0, 5.0]), RNG.normal(0.5)))
    rows += [(len(rows) + k, -1, "test", "lens", RNG.choice([-5.0, 5.0]), RNG.normal()) for k in range(n)]
    table = pd.DataFrame(rows, columns=["index", "partner", "split", "family", "logit", "compound_logit"])
    return table.assign(
        theta_E_1=RNG.uniform(0.3, 1.5, len(table)), theta_E_2=1.6, arc_snr_2=RNG.uniform(20, 90, len(table))
    )


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


class Pictures:
    """A store whose images tell their place."""

    def images(self, positions):
        return np.broadcast_to(positions[:, None, None, None], (len(positions), 4, 8, 8)).astype(np.float16)


def test_the_misses_drawn_are_the_strongest():
    table = scores_table().assign(arc_snr_1=30.0)
    table = table.assign(position=np.arange(len(table)))
    rows = compound_figures.missed(Pictures(), table, 0.0, 1.0)
    names = [row.name.replace("\n", " ") for row in rows]
    assert names == [
        "compound arcs not found", "double rings not found", "compound arcs called single",
        "double rings called single", "single lenses taken for compound",
    ]  # fmt: skip
    arcs = table[(table["family"] == "compound_arc") & (table["logit"] > 0) & (table["compound_logit"] <= 1)]
    strongest = arcs.sort_values("arc_snr_2").iloc[-1]
    assert rows[2].images[0, 0, 0, 0] == strongest["position"]
    assert rows[2].note == f"{len(arcs)} in all"
    assert len(rows[2].images) == compound_figures.COLUMNS == len(rows[2].titles)
    only_finder = compound_figures.missed(Pictures(), table, -100.0, float("nan"))
    assert only_finder == []
    assert len(compound_figures.missed(Pictures(), table, 0.0, float("nan"))) == 2


def write_store(paths):
    """Lenses of the test split and pairs of the compound split, with masks not needed and brightness that tells them."""
    table = scores_table(110).drop(columns=["logit", "compound_logit"])
    table = pd.concat([table, table.tail(1).assign(family="ring", index=len(table))], ignore_index=True)
    table["label"] = (table["family"] != "ring").astype(int)
    table["arc_snr_1"] = 30.0
    sigma = np.array(EUCLID.sky_sigma)[:, None, None]
    images = RNG.normal(size=(len(table), len(Band), 32, 32)) * sigma
    images[table["family"].isin(compound.COMPOUND), :, 12:20, 12:20] += 5 * sigma
    write_images(paths.images, table, images)


def write_scores(paths, test, survey, shares=None):
    """What the stages before it leave: logits of the test set's non-lenses, and of a survey's."""
    scored = pd.DataFrame({"split": "test", "label": 0, "logit": test})
    others = scored.assign(split="validation", logit=1e3)  # of which no threshold is
    for path, table in (
        (paths.scores / "test.parquet", pd.concat([scored, others, scored.assign(label=1, logit=1e3)])),
        (paths.survey / "scores.parquet", pd.DataFrame({"logit": survey})),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        table.to_parquet(path)
    operating_points.write(paths.model, OperatingPoints(shares=shares), SURVEY_POINTS)


def test_the_stage_writes_what_is_found_and_what_is_classified(tmp_path, capsys):
    paths = Paths("tiny", tmp_path)
    write_store(paths)
    torch.manual_seed(2)
    for folder in (paths.model, paths.model / COMPOUND):
        save_model(folder, LensNet(LensNetConfig(4)), 32)
    # 10 and 1 of 1,000 lie above the thresholds of 1e-2 and 1e-3
    write_scores(paths, [-7.0, -8.0, *[-8.5] * 8, *[-9.0] * 990], [100.0, 99.0, *[0.0] * 8, *[-9.0] * 990])
    block = {
        "compound_test": {"shared": {"bootstrap": 20, "seed": 1, "prevalence": 0.02, "batch_size": 64}, "tiny": {}}
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(block))
    compound_test.run("tiny", tmp_path)
    measured = json.loads(paths.metrics("compound-test").read_text())
    assert measured["compound_arc"]["n"] == 110
    assert measured["compound_arc"]["completeness_at_fpr_1e-2"]["value"] == 1
    measured_at = {key.removeprefix("completeness_at_") for key in measured["double_ring"] if key != "n"}
    assert measured_at == {"0.5", "fpr_1e-2", "fpr_1e-3", "survey_fpr_1e-2", "survey_fpr_1e-3"}  # 1e-4 needs 10,000
    assert measured["double_ring"]["completeness_at_survey_fpr_1e-2"]["value"] == 1
    assert measured["double_ring"]["completeness_at_survey_fpr_1e-3"]["value"] == 0
    assert sum(row["n"] for row in measured["selection_function"]["theta_E_1"]) == 220
    head = measured["compound_head"]
    assert head["prevalence"] == 0.02
    assert head["found_at_fpr_1e-3"]["n_single"] == 110  # not the ring of the test split
    assert head["found_at_fpr_1e-3"]["matched_single"]["n"] == 220
    assert head["found_at_fpr_1e-3"]["compound"]["purity_at_fpr_1e-3"]["value"] is None
    assert 0 <= head["found_at_fpr_1e-2"]["compound"]["purity_at_fpr_1e-2"]["value"] <= 1
    assert {file.stem for file in (paths.figures / "compound-test").iterdir()} >= {
        "scores",
        "selection",
        "told",
        "told-selection",
    }
    table = pd.read_parquet(paths.scores / "compound.parquet")
    assert table["split"].value_counts().to_dict() == {"compound": 660, "test": 110}
    assert table["compound_logit"].notna().all()
    assert table["survey_logit"].equals(table["logit"])
    printed = capsys.readouterr().out
    assert "survey_fpr_1e-3" in printed
    assert "compound or single, of the lenses that the finder takes at FPR 1e-2: 110" in printed


def test_a_survey_s_completeness_is_of_its_own_logits(tmp_path):
    paths = Paths("tiny", tmp_path)
    write_store(paths)
    torch.manual_seed(2)
    for folder in (paths.model, paths.second, paths.model / COMPOUND):
        save_model(folder, LensNet(LensNetConfig(4)), 32)
    weight, bias = torch.zeros(len(NON_LENS_CLASSES), 32), torch.zeros(len(NON_LENS_CLASSES))
    many = dict.fromkeys(NON_LENS_CLASSES, 100.0)  # non-lenses of training, for every lens
    save_class_prior(paths.model, ClassPrior(weight, bias, many))
    write_scores(paths, [3.0] * 100, [3.0] * 100, dict.fromkeys(NON_LENS_CLASSES, 1.0))
    block = {
        "compound_test": {"shared": {"bootstrap": 20, "seed": 1, "prevalence": 0.02, "batch_size": 64}, "tiny": {}}
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(block))
    compound_test.run("tiny", tmp_path)
    row = json.loads(paths.metrics("compound-test").read_text())["double_ring"]
    assert row["completeness_at_fpr_1e-2"]["value"] == 0
    assert row["completeness_at_survey_fpr_1e-2"]["value"] == 1
    table = pd.read_parquet(paths.scores / "compound.parquet")
    np.testing.assert_allclose(table["survey_logit"], table["logit"] + np.log(1300), rtol=1e-4)


def test_the_stage_without_a_head_names_the_remedy(tmp_path):
    paths = Paths("tiny", tmp_path)
    write_store(paths)
    save_model(paths.model, LensNet(LensNetConfig(4)), 32)
    write_scores(paths, [0.0], [0.0])
    block = {
        "compound_test": {"shared": {"bootstrap": 20, "seed": 1, "prevalence": 0.02, "batch_size": 64}, "tiny": {}}
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(block))
    with pytest.raises(FileNotFoundError, match="no compound classifier in .*: run the train-compound stage first"):
        compound_test.run("tiny", tmp_path)


def test_without_scores_the_stage_to_run_is_named(tmp_path):
    paths = Paths("tiny", tmp_path)
    with pytest.raises(FileNotFoundError, match="run the survey-test stage"):
        operating_points.read(paths.model, SURVEY_POINTS)
    with pytest.raises(FileNotFoundError, match="run the evaluate stage first"):
        compound.scored_non_lenses(paths.scores / "test.parquet", paths.survey / "scores.parquet")
    write_scores(paths, [0.0], [0.0])
    (paths.survey / "scores.parquet").unlink()
    with pytest.raises(FileNotFoundError, match="run the survey-test stage first"):
        compound.scored_non_lenses(paths.scores / "test.parquet", paths.survey / "scores.parquet")
