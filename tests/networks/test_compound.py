"""The compound classifier: its orientations, and the probabilities that its logits stand for in a survey."""

import json

import numpy as np
import pytest
import torch

from lensdream.networks.cascade import orientations
from lensdream.networks.compound import GATE_THRESHOLD, CompoundClassifier, compound_probability
from lensdream.networks.layout import COMPOUND, SETTINGS
from lensdream.networks.lensnet import LensNet, LensNetConfig
from lensdream.networks.model_file import load_model, save_model


@pytest.mark.parametrize("prevalence", [0.01, 0.2])
def test_an_image_that_tells_nothing_has_the_survey_s_share(prevalence):
    """The logit of such an image is that of the training's odds."""
    assert compound_probability(np.log([1 / 3]), 1 / 3, prevalence) == pytest.approx([prevalence])


def test_the_odds_of_training_give_way_to_those_of_the_survey():
    likelihood_ratio = np.array([0.1, 30.0, 297.0])
    found = compound_probability(np.log(likelihood_ratio / 3), 1 / 3, 0.01)
    np.testing.assert_allclose(found / (1 - found), likelihood_ratio / 99)
    assert found[2] == pytest.approx(0.75)


def test_where_the_survey_is_as_the_training_the_probability_is_the_logit_s_own():
    logits = np.array([-4.0, 0.0, 2.5])
    np.testing.assert_allclose(compound_probability(logits, 1 / 3, 0.25), 1 / (1 + np.exp(-logits)))


def test_unknown_logits_stay_unknown_and_far_ones_are_certain():
    found = compound_probability(np.array([np.nan, -2000.0, 2000.0]), 1 / 3, 0.01)
    np.testing.assert_array_equal(found, [np.nan, 0.0, 1.0])


@pytest.mark.parametrize("prevalence", [0.0, 1.0, -0.1, 1.2])
def test_a_prevalence_that_is_no_share_is_refused(prevalence):
    with pytest.raises(ValueError, match=f"prevalence of compound lenses is {prevalence}, it must lie between 0 and 1"):
        compound_probability(np.zeros(1), 1 / 3, prevalence)


def pictures():
    return torch.randn(16, 4, 40, 40, generator=torch.Generator().manual_seed(0)) * 0.01


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(1)
    network = LensNet(LensNetConfig(4)).eval()
    with torch.no_grad():
        network.head.weight.mul_(20)
        network.head.bias += GATE_THRESHOLD - network(pictures()).median()  # half of them pass the gate
    save_model(tmp_path / COMPOUND, network, 40)
    return tmp_path


def test_compound_logits_are_the_mean_of_eight_orientations_above_the_gate(model):
    images, network, classifier = pictures(), load_model(model / COMPOUND), CompoundClassifier.load(model)
    with torch.no_grad():
        first, found = network(images), classifier(images)
        mean = torch.stack([network(turned) for turned in orientations(images)]).mean(0)
    passing = first > GATE_THRESHOLD
    assert 0 < passing.sum() < len(images)
    torch.testing.assert_close(found[passing], mean[passing], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[~passing], first[~passing])


def test_the_odds_of_its_training_are_those_of_its_file_or_of_the_first_edition(model):
    assert CompoundClassifier.load(model).training_odds == pytest.approx(1 / 3)
    settings = model / COMPOUND / SETTINGS
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"training_odds": 0.5}))
    assert CompoundClassifier.load(model).training_odds == 0.5


def test_a_model_without_one_names_the_stage_to_run(tmp_path):
    with pytest.raises(
        FileNotFoundError,
        match="no compound classifier in .*compound: run `lensdream train --recipe compound_classifier`",
    ):
        CompoundClassifier.load(tmp_path)
