"""The finder as MLflow calls it: arrays in, a table out."""

import numpy as np
import pytest
import torch

from lensdream.finder import operating_points
from lensdream.finder.finder import Finder
from lensdream.finder.operating_points import OperatingPoints
from lensdream.instrument import EUCLID
from lensdream.networks.layout import COMPOUND, POINTS
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.model_file import save_model
from lensdream.serving import TablePredictor, _load_pyfunc

STAMP = 32


@pytest.fixture
def model(tmp_path):
    """A model with a compound classifier whose logits spread around the threshold."""
    torch.manual_seed(0)
    for part in ("", COMPOUND):
        network = LensNet(LensNetConfig(4))
        torch.nn.init.normal_(network.head.weight, std=20)
        save_model(tmp_path / part, network, STAMP)
    logits = Finder.load(tmp_path).scores(torch.from_numpy(pictures())).logit
    points = OperatingPoints(
        {"fpr_1e-2": float(np.quantile(logits, 0.3)), "fpr_1e-3": float(np.quantile(logits, 0.6))}, 2.0
    )
    operating_points.write(tmp_path, points)
    return tmp_path


def pictures():
    sky = np.array(EUCLID.sky_sigma, np.float32)[:, None, None]
    return np.random.default_rng(0).normal(0, 3, (12, 4, STAMP, STAMP)).astype(np.float32) * sky


def test_the_table_has_the_scores_of_the_finder(model):
    images = pictures()
    table, scores = _load_pyfunc(str(model)).predict(images), Finder.load(model).score(images)
    assert list(table) == ["logit", "probability", "above_fpr_1e-3", "compound_probability"]
    np.testing.assert_allclose(table["logit"], scores.logit)
    np.testing.assert_allclose(table["probability"], 1 / (1 + np.exp(-scores.logit / 2)), rtol=1e-6)
    assert table["above_fpr_1e-3"].tolist() == scores.above["fpr_1e-3"].tolist()
    assert 0 < table["above_fpr_1e-3"].sum() < len(images)
    np.testing.assert_array_equal(table["compound_probability"], scores.compound_probability)
    assert 0 < table["compound_probability"].isna().sum() < len(images)


def test_an_image_of_no_numbers_has_no_scores_and_leaves_the_others(model):
    images = pictures()
    whole = TablePredictor(Finder.load(model)).predict(images)
    images[2, 0, 16, 16] = np.nan
    table = TablePredictor(Finder.load(model)).predict(images)
    assert table.iloc[2].isna().all()
    np.testing.assert_allclose(table["logit"].drop(2), whole["logit"].drop(2), atol=1e-5)
    assert table["above_fpr_1e-3"].drop(2).tolist() == whole["above_fpr_1e-3"].drop(2).tolist()


def test_a_model_without_thresholds_leaves_above_empty(model):
    (model / POINTS).unlink()
    table = _load_pyfunc(str(model)).predict(pictures())
    assert table["above_fpr_1e-3"].isna().all()
    assert table["compound_probability"].isna().all()
    assert table["logit"].notna().all()


def test_no_images_make_an_empty_table_and_other_shapes_are_refused(model):
    predictor = _load_pyfunc(str(model))
    assert len(predictor.predict(pictures()[:0])) == 0
    with pytest.raises(ValueError, match=r"this model takes \(n, 4, 32, 32\), bands in the order VIS Y J H"):
        predictor.predict(pictures()[0])
