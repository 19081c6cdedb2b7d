"""A finder for other class shares than those of training."""

import numpy as np
import pytest
import torch

from conftest import IN_SURVEY, POPULATION, SIMULATE, SURVEY, random_prior, save_classifying_finder
from lensdream.commands.paths import Paths
from lensdream.evaluate.stream import ChunkScorer
from lensdream.evaluate.survey_baselines import OURS, BaselinesScorer
from lensdream.families import NON_LENS_CLASSES
from lensdream.finder import operating_points
from lensdream.finder.finder import Finder, load_cascade
from lensdream.finder.locate import ModelError
from lensdream.finder.operating_points import OperatingPoints
from lensdream.instrument import Band
from lensdream.networks.cascade import orientations
from lensdream.networks.class_prior import load_class_prior, save_class_prior
from lensdream.networks.layout import SURVEY_POINTS, digest_of
from lensdream.networks.lensnet import DeepLensNet, LensNet, LensNetConfig, pooled
from lensdream.networks.model_file import save_model
from lensdream.tracking.store import model_files


def test_logits_for_other_class_shares_follow_from_the_class_prior(tmp_path):
    torch.manual_seed(5)
    save_model(tmp_path, LensNet(LensNetConfig(4)).eval(), 80)
    second = DeepLensNet(LensNetConfig(6)).eval()
    save_model(tmp_path / "second", second, 80)
    assert load_cascade(tmp_path, IN_SURVEY).second.prior is None
    digest = digest_of(tmp_path)
    trained_on = {name: (k + 1) / 91 for k, name in enumerate(NON_LENS_CLASSES)}
    save_class_prior(tmp_path, random_prior(48, trained_on))
    assert digest_of(tmp_path) != digest
    assert (tmp_path / "kinds" / "kinds.safetensors") in model_files(tmp_path)
    assert load_class_prior(tmp_path).names == NON_LENS_CLASSES
    plain, finder = load_cascade(tmp_path), load_cascade(tmp_path, IN_SURVEY)
    same = load_cascade(tmp_path, trained_on)
    assert plain.second.prior is None
    images = torch.randn(5, len(Band), 80, 80) * 0.01
    with torch.no_grad():
        first = plain.first(images)
        plain.gate = finder.gate = same.gate = float(first.median())
        again = first > first.median()
        seen = [pooled(second.features(image)) for image in orientations(images)]
        loaded = load_class_prior(tmp_path)
        shift = torch.stack([loaded.correction(loaded(part), loaded.shares(IN_SURVEY)) for part in seen]).mean(0)
        assert torch.allclose(finder(images)[again], (plain(images) + shift)[again], atol=1e-5)
        assert torch.equal(finder(images)[~again], first[~again])
        assert torch.allclose(same(images), plain(images), atol=1e-5)
        assert shift.abs().max() > 0.1
    save_model(tmp_path / "second", DeepLensNet(LensNetConfig(6)).eval(), 80)
    with pytest.raises(ValueError, match="belongs to another second stage: run the class-prior stage again"):
        load_cascade(tmp_path, IN_SURVEY)
    assert load_cascade(tmp_path).second is not None


def test_scoring_the_baselines_and_the_survey_test_use_the_survey_s_shares(few_catalogs, tmp_path):
    """Workers of the survey test and of its peers, and what scores real cutouts; the test of each stage has the others."""
    paths = Paths("tiny", tmp_path)
    save_classifying_finder(paths.model, 40)
    of_survey, of_peers = (
        scorer.start(POPULATION, SIMULATE, few_catalogs, paths.model, SURVEY)
        for scorer in (ChunkScorer, BaselinesScorer)
    )
    operating_points.write(paths.model, OperatingPoints({"fpr_1e-2": 0.0}))
    operating_points.write(paths.model, OperatingPoints({"fpr_1e-3": 2.0}, 1.0, IN_SURVEY), SURVEY_POINTS)
    finder = Finder.load(paths.model)
    assert finder.points.thresholds == {"fpr_1e-3": 2.0}
    images = torch.randn(4, len(Band), 40, 40) * 0.01
    with torch.no_grad():
        plain, expected = load_cascade(paths.model)(images), load_cascade(paths.model, IN_SURVEY)(images)
        assert not torch.allclose(plain, expected, atol=0.05)
        for cascade in (of_survey.model, of_peers.models[OURS], finder.cascade):
            assert torch.allclose(cascade(images), expected, atol=1e-5)
    scores = finder.scores(images)
    np.testing.assert_allclose(scores.logit, expected, atol=1e-5)
    np.testing.assert_allclose(scores.training_mix_logit, plain, atol=1e-5)


@pytest.mark.parametrize("shares", ['{"ring": -1.0, "field": 2.0}', '{"ring": NaN}', "{}"])
def test_shares_that_are_none_name_the_stage_to_run(tmp_path, shares):
    save_classifying_finder(tmp_path, 40)
    (tmp_path / "survey_points.json").write_text(f'{{"shares": {shares}, "model_sha256": "{digest_of(tmp_path)}"}}')
    with pytest.raises(ModelError, match="run the survey-test stage again"):
        Finder.load(tmp_path)
