"""What a search found, as table and figures."""

import numpy as np
import optuna
import pytest

from lensdream import tuning
from lensdream.tuning import pages


def test_the_importance_of_a_setting_that_alone_matters_is_nearly_one():
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=1))
    assert pages.importances(study) == {}
    for _ in range(40):
        trial = study.ask(tuning.SPACE)
        study.tell(trial, np.log(trial.params["learning_rate"]))
    shares = pages.importances(study)
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["learning_rate"] > 0.8


def test_a_pruned_trial_stands_in_the_table_with_its_last_score():
    study = optuna.create_study(direction="maximize")
    for value in (0.9, None):
        trial = study.ask(tuning.SPACE)
        trial.report(0.6, 0)
        trial.report(0.7, 1)
        state = optuna.trial.TrialState.PRUNED if value is None else None
        study.tell(trial, value, state=state)
    table = pages.trials_table(study)
    assert table[["state", "validation_auroc", "epochs"]].values.tolist() == [["complete", 0.9, 2], ["pruned", 0.7, 2]]
    assert len(pages.slices(table, {}).axes) == len(pages.slices(table, {"width": 1.0}).axes) >= len(tuning.SPACE)
