"""Settings of trainings: what no single bound can check."""

import pytest

from lensdream.config.fields import ConfigError
from lensdream.config.training import Fit, SecondStageFineTuning, SecondStageTraining, Training


@pytest.mark.parametrize("rounds", [0, 4, 5])
def test_rounds_of_hard_negatives_have_to_fit_between_epochs(rounds):
    with pytest.raises(ConfigError, match=f"hard_rounds = {rounds} do not fit between 4 epochs: at least 1 and fewer"):
        Training(fit=Fit(epochs=4), hard_negatives=10, hard_rounds=rounds)


def test_as_many_rounds_as_fit_are_allowed_and_any_number_without_hard_negatives():
    assert Training(fit=Fit(epochs=4), hard_negatives=10, hard_rounds=3).hard_rounds == 3
    assert Training(fit=Fit(epochs=4), hard_rounds=50).hard_negatives == 0


def test_hard_negatives_and_fresh_scenes_exclude_each_other():
    with pytest.raises(
        ConfigError, match=r"hard_negatives = 10 take .* fresh_scenes = 20 uses none: set one of them to 0"
    ):
        Training(hard_negatives=10, hard_rounds=1, fresh_scenes=20)


def test_fine_tuning_starts_at_a_lower_rate_with_more_rare_lenses():
    training, tuning = SecondStageTraining(), SecondStageFineTuning()
    assert tuning.fit.learning_rate < training.fit.learning_rate
    assert tuning.fit.epochs < training.fit.epochs
    assert tuning.fresh.rare_lenses > training.fresh.rare_lenses
    assert (tuning.fit.seed, tuning.fit.batch_size) == (training.fit.seed, training.fit.batch_size)
