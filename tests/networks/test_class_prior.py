"""Non-lens classes: the fit of their likelihoods, and lens logits for another mix of them than that of training."""

import numpy as np
import pytest
import torch

from conftest import IN_SURVEY, random_prior, save_classifying_finder
from lensdream.families import NON_LENS_CLASSES
from lensdream.finder import operating_points
from lensdream.finder.finder import Finder
from lensdream.finder.locate import ModelError
from lensdream.finder.operating_points import OperatingPoints
from lensdream.networks.class_prior import ClassPrior, save_class_prior
from lensdream.networks.layout import SURVEY_POINTS


def test_posterior_odds_are_likelihood_ratios_times_class_shares():
    """Against the sums written out, of one image and three kinds."""
    likelihoods = np.array([0.5, 0.02, 3.0])
    trained, shares = {"a": 1.2, "b": 0.6, "c": 0.2}, {"c": 9.0, "a": 1.0, "b": 0.0}  # two non-lenses for every lens
    model = ClassPrior(torch.zeros(3, 1), torch.from_numpy(np.log(likelihoods)).float(), trained)
    found = model.correction(model(torch.ones(1, 1)), model.shares(shares)).item()
    there, here = likelihoods @ [1.2, 0.6, 0.2], likelihoods @ [0.1, 0.0, 0.9]
    assert found == pytest.approx(np.log(there / here), rel=1e-5)
    assert model.correction(model(torch.ones(1, 1)), model.shares(trained)).item() == pytest.approx(np.log(2), rel=1e-5)
    with pytest.raises(ValueError, match="shares of a, b, the classes of non-lenses are a, b, c"):
        model.shares({"a": 1, "b": 1})


def test_a_class_prior_of_other_classes_names_the_stage_to_run(tmp_path):
    save_classifying_finder(tmp_path, 80)
    older = ("blob", *NON_LENS_CLASSES[1:])
    save_class_prior(tmp_path, random_prior(48, dict.fromkeys(older, 1.0)))
    operating_points.write(tmp_path, OperatingPoints({}, 1.0, IN_SURVEY), SURVEY_POINTS)
    with pytest.raises(ModelError, match=r"non-lens classes blob, .*: run the class-prior stage again$"):
        Finder.load(tmp_path)
