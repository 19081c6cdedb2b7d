"""The compound-test stage from scores to metrics."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from compound_scores import scores_table
from conftest import write_images
from lensdream.commands import compound_test
from lensdream.commands.paths import Paths
from lensdream.evaluate import compound
from lensdream.families import NON_LENS_CLASSES
from lensdream.finder import operating_points
from lensdream.finder.operating_points import OperatingPoints
from lensdream.instrument import EUCLID, Band
from lensdream.networks.class_prior import ClassPrior, save_class_prior
from lensdream.networks.layout import COMPOUND, SURVEY_POINTS
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.model_file import save_model

RNG = np.random.default_rng(4)


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
        "compound_test": {"bootstrap": 20, "seed": 1, "prevalence": 0.02, "batch_size": 64},
        "scales": {"tiny": {}},
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
        "compound_test": {"bootstrap": 20, "seed": 1, "prevalence": 0.02, "batch_size": 64},
        "scales": {"tiny": {}},
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
        "compound_test": {"bootstrap": 20, "seed": 1, "prevalence": 0.02, "batch_size": 64},
        "scales": {"tiny": {}},
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(block))
    with pytest.raises(FileNotFoundError, match="no compound classifier in .*: run `lensdream train --recipe compound"):
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
