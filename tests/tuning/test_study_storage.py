"""A study in a journal file, and the processes that share it."""

import dataclasses

import optuna
import pytest
from filelock import Timeout
from optuna.trial import TrialState

from lensdream.runtime.provenance import Worker
from lensdream.tuning.study_storage import Journal


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "new folder" / "study.log")


def study_in(journal):
    with journal.turn():
        return optuna.create_study(storage=journal.open(), study_name="s", load_if_exists=True)


def test_one_process_at_a_time_has_the_turn(journal):
    with journal.turn(), pytest.raises(Timeout):
        journal.turn().acquire(timeout=0.05)
    with journal.turn().acquire(timeout=1):
        assert journal.path.with_suffix(".turn").exists()


def test_a_study_is_found_again_in_its_file(journal):
    study = study_in(journal)
    study.tell(study.ask(), 0.7)
    assert study_in(journal).best_value == 0.7
    assert journal.label == str(journal.path)


def test_trials_of_ended_processes_and_unclaimed_ones_fail_and_those_of_living_ones_go_on(journal):
    study = study_in(journal)
    mine, unclaimed, dead, done = (study.ask() for _ in range(4))
    journal.claim(study, mine)
    # this process's number, in an earlier life
    for name, value in dataclasses.replace(Worker.current(), started=1).tags().items():
        dead.set_user_attr(name, value)
    journal.claim(study, done)
    study.tell(done, 0.5)
    assert {trial.number for trial in journal.close_abandoned(study)} == {unclaimed.number, dead.number}
    states = {trial.number: trial.state for trial in study_in(journal).get_trials()}
    assert states == {
        mine.number: TrialState.RUNNING, unclaimed.number: TrialState.FAIL, dead.number: TrialState.FAIL,
        done.number: TrialState.COMPLETE,
    }  # fmt: skip
    assert journal.close_abandoned(study) == []


def test_processes_of_another_machine_are_not_given_up(journal):
    study = study_in(journal)
    trial = study.ask()
    for name, value in dataclasses.replace(Worker.current(), host="elsewhere", started=1).tags().items():
        trial.set_user_attr(name, value)
    assert journal.close_abandoned(study) == []
