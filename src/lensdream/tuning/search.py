"""The search: trials until enough are judged, and the best of them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState
from torch import nn

from lensdream.config import Training, TuneConfig
from lensdream.dataset.labelled import LabelledImages
from lensdream.networks.lensnet import LensNet
from lensdream.train.loop import EpochRecord, fit
from lensdream.tuning import pages
from lensdream.tuning.space import SPACE, is_in, settings_of, value_of, with_settings
from lensdream.tuning.study_storage import StudyStorage

if TYPE_CHECKING:
    from lensdream.tracking.runs import StageRun


@dataclass(frozen=True)
class Task:
    """Settings and images that all trials of a search share."""

    train: Training
    images: LabelledImages
    validation: LabelledImages


def open_study(name: str, storage: StudyStorage) -> optuna.Study:
    """Open the study of this name, made if missing."""
    with storage.turn():
        return optuna.create_study(
            study_name=name,
            storage=storage.open(),
            direction="maximize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1),
            load_if_exists=True,
        )


def next_trial(study: optuna.Study, storage: StudyStorage, config: TuneConfig, base: Training) -> Trial | None:
    """Start a trial; None when all that are wanted are judged or under way."""
    with storage.turn():
        for abandoned in storage.close_abandoned(study):
            if abandoned.params and "retry_of" not in abandoned.user_attrs:
                _queue_again(study, abandoned)
        n = len(study.get_trials(deepcopy=False))
        if n == 0:
            # The settings in use come first: the best is never worse than they are.
            now = {name: value_of(base, name) for name in SPACE}
            study.enqueue_trial({name: value for name, value in now.items() if is_in(SPACE[name], value)})
        if len(study.get_trials(deepcopy=False, states=(*pages.JUDGED, TrialState.RUNNING))) >= config.trials:
            return None
        # A seed a trial: with one a process, all that start together would draw the same settings.
        seed = np.random.SeedSequence([config.seed, n]).generate_state(1)
        study.sampler = optuna.samplers.TPESampler(seed=int(seed[0]))
        trial = study.ask(SPACE)
        storage.claim(study, trial)
        return trial


def _queue_again(study: optuna.Study, trial: Trial | FrozenTrial) -> None:
    if any(other.user_attrs.get("retry_of") == trial.number for other in study.get_trials(deepcopy=False)):
        return
    study.enqueue_trial(trial.params, user_attrs={"retry_of": trial.number})


def judge(study: optuna.Study, trial: Trial, task: Task, record: StageRun) -> None:
    """Train with the trial's settings and report the result to the study."""
    config = with_settings(task.train, settings_of(trial.params))
    stops = (optuna.TrialPruned, UpdateFinishedTrialError)
    try:
        with record.nested(f"trial {trial.number}", config, stopped_by=stops) as run:
            value = _train(trial, config, task, run)
            run.metrics({"best_validation_auroc": value})
        ended = study.tell(trial, value, skip_if_finished=True)
    except optuna.TrialPruned:
        ended = study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
    except UpdateFinishedTrialError:
        ended = study.get_trials(deepcopy=False)[trial.number]
    except BaseException as error:
        study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
        if isinstance(error, KeyboardInterrupt):
            _queue_again(study, trial)
        raise
    print(f"trial {trial.number}: {_fate(ended)}", flush=True)


def _fate(trial: FrozenTrial) -> str:
    if trial.state is TrialState.FAIL:
        return "given up by the others, as this process was silent for too long"
    return "pruned" if trial.state is TrialState.PRUNED else f"validation AUROC {trial.value:.4f}"


def _train(trial: Trial, config: Training, task: Task, run: StageRun) -> float:
    """Return the validation AUROC of the best epoch; raises `TrialPruned` for a trial that is behind or diverged."""

    def on_epoch(epoch: EpochRecord, _network: nn.Module, _is_best: bool) -> None:
        curves = {
            "train_loss": epoch.train_loss,
            "validation_loss": epoch.validation_loss,
            "train_accuracy": epoch.train_accuracy,
            "validation_accuracy": epoch.validation_accuracy,
            "validation_auroc": epoch.validation_auroc,
            "augmented_train_loss": epoch.augmented_train_loss,
            "learning_rate": epoch.learning_rate,
        }
        run.metrics(curves, step=epoch.epoch)
        trial.report(epoch.validation_auroc, epoch.epoch)
        if trial.should_prune():
            run.tags({"optuna_state": "pruned"})
            raise optuna.TrialPruned(f"behind the median in epoch {epoch.epoch}")

    try:
        result = fit(lambda: LensNet(config.network), config.fit, task.images, task.validation, on_epoch=on_epoch)
    except FloatingPointError as error:
        run.tags({"optuna_state": "diverged"})
        raise optuna.TrialPruned(str(error)) from error
    run.tags({"optuna_state": "complete"})
    return result.records[result.best_epoch].validation_auroc


def best_trial(study: optuna.Study) -> FrozenTrial:
    """Return the trial of the highest value; raises `RuntimeError` where none was completed."""
    with suppress(ValueError):
        return study.best_trial
    raise RuntimeError(
        f"no trial of study {study.study_name} was completed, all diverged: lower train.fit.learning_rate in params.yaml"
    )
