"""The search: trials until enough are judged, and what they found."""

from __future__ import annotations

import dataclasses
import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
import torch
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState
from torch import nn

from lensdream.config import TrainConfig, TuneConfig, load
from lensdream.dataset import ImageStore
from lensdream.files import sha256_of
from lensdream.paths import Paths
from lensdream.provenance import repository_root
from lensdream.tracking import StageRun, stage_run
from lensdream.train import EpochRecord, LabelledImages, fit
from lensdream.trainees import lensnet
from lensdream.tuning import pages
from lensdream.tuning.database import Database
from lensdream.tuning.params_file import write_settings
from lensdream.tuning.places import Journal, StudyPlace
from lensdream.tuning.space import SPACE, holds, settings_of


@dataclass(frozen=True)
class Task:
    """What every trial of a search shares."""

    train: TrainConfig
    images: LabelledImages
    validation: LabelledImages


def run(scale: str, root: Path = Path(), *, write: bool = False, storage: str | None = None) -> None:
    """Search until `tune.trials` trials are judged, those of earlier calls included; print them and the best settings.

    `write` puts the best settings into `train.shared` of `params.yaml`. `storage` is the URL of a PostgreSQL database that
    several machines share; without it the processes of this machine share a journal. Trials count only towards a search
    on the same images, with the same other settings. Raises `StoreError` without images, `ConfigError` for a URL that is
    none or whose driver is missing, `ConnectionError` where the database does not serve.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    params = root / "params.yaml"
    config = load("tune", TuneConfig, scale, params)
    place = _journal(scale, root) if storage is None else Database.from_text(storage)
    current = load("train", TrainConfig, scale, params)
    base = dataclasses.replace(current, epochs=config.epochs, hard_negatives=0)
    folder = Paths(scale, root).images
    store = ImageStore.open(folder)
    task = Task(
        base,
        LabelledImages.from_store(store, "train", config.images),
        LabelledImages.from_store(store, "validation", None),
    )
    torch.set_num_threads(base.threads)
    name = f"{scale}-{_question(base, config, sha256_of(folder / 'manifest.json'))}"
    with place.guarded():
        study = _open_study(name, place)
        with stage_run(
            "tune", scale, {"tune": config, "train": base}, root=root, datasets={"images": folder}
        ) as record:
            record.tags({"optuna_study": name, "optuna_place": place.shown})
            while (trial := _next_trial(study, place, config, base)) is not None:
                with place.at_work(study, trial):
                    _judge(study, trial, task, record)
            best = _best(study)
            record.metrics({"best_validation_auroc": best.value, "trials": len(study.get_trials(states=pages.JUDGED))})
            record.tags({f"best.{key}": str(value) for key, value in settings_of(best.params).items()})
            _write_pages(study, Paths(scale, root), record)
    print(f"\nbest settings (trial {best.number}, validation AUROC {best.value:.4f}):")
    print("\n".join(f"  {key}: {value}" for key, value in settings_of(best.params).items()))
    if write:
        write_settings(params, settings_of(best.params))
        print(f"written to train.shared in {params}")


def _journal(scale: str, root: Path) -> Journal:
    return Journal(repository_root(root) / "mlruns" / "optuna" / f"{scale}.log")


def _question(base: TrainConfig, config: TuneConfig, images: str) -> str:
    """Digest of what makes trials comparable: images, budget, the settings that are not searched, and the space."""
    fixed = {name: value for name, value in dataclasses.asdict(base).items() if name not in SPACE and name != "threads"}
    return hashlib.sha256(repr((images, config.images, fixed, SPACE)).encode()).hexdigest()[:8]


def _open_study(name: str, place: StudyPlace) -> optuna.Study:
    with place.turn():
        return optuna.create_study(
            study_name=name,
            storage=place.open_storage(),
            direction="maximize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1),
            load_if_exists=True,
        )


def _next_trial(study: optuna.Study, place: StudyPlace, config: TuneConfig, base: TrainConfig) -> Trial | None:
    """Start a trial; None when all that are wanted are judged or under way."""
    with place.turn():
        for abandoned in place.close_abandoned(study):
            if abandoned.params and "retry_of" not in abandoned.user_attrs:
                _queue_again(study, abandoned)
        n = len(study.get_trials(deepcopy=False))
        if n == 0:
            # The settings in use come first: the best is never worse than they are.
            now = {name: getattr(base, name) for name in SPACE}
            study.enqueue_trial({name: value for name, value in now.items() if holds(SPACE[name], value)})
        if len(study.get_trials(deepcopy=False, states=(*pages.JUDGED, TrialState.RUNNING))) >= config.trials:
            return None
        # A seed a trial: with one a process, all that start together would draw the same settings.
        seed = np.random.SeedSequence([config.seed, n]).generate_state(1)
        study.sampler = optuna.samplers.TPESampler(seed=int(seed[0]))
        trial = study.ask(SPACE)
        place.claim(study, trial)
        return trial


def _queue_again(study: optuna.Study, trial: Trial | FrozenTrial) -> None:
    if any(other.user_attrs.get("retry_of") == trial.number for other in study.get_trials(deepcopy=False)):
        return
    study.enqueue_trial(trial.params, user_attrs={"retry_of": trial.number})


def _judge(study: optuna.Study, trial: Trial, task: Task, record: StageRun) -> None:
    """Train with the trial's settings and tell the study how it went."""
    config = dataclasses.replace(task.train, **settings_of(trial.params))
    stops = (optuna.TrialPruned, UpdateFinishedTrialError)
    try:
        with record.nested(f"trial {trial.number}", config, stopped_by=stops) as run:
            value = _train(trial, config, task, run)
            run.metrics({"best_validation_auroc": value})
        told = study.tell(trial, value, skip_if_finished=True)
    except optuna.TrialPruned:
        told = study.tell(trial, state=TrialState.PRUNED, skip_if_finished=True)
    except UpdateFinishedTrialError:
        told = study.get_trials(deepcopy=False)[trial.number]
    except BaseException as error:
        study.tell(trial, state=TrialState.FAIL, skip_if_finished=True)
        if isinstance(error, KeyboardInterrupt):
            _queue_again(study, trial)
        raise
    print(f"trial {trial.number}: {_fate(told)}", flush=True)


def _fate(trial: FrozenTrial) -> str:
    if trial.state is TrialState.FAIL:
        return "given up by the others, as this process was silent for too long"
    return "pruned" if trial.state is TrialState.PRUNED else f"validation AUROC {trial.value:.4f}"


def _train(trial: Trial, config: TrainConfig, task: Task, run: StageRun) -> float:
    """Return the validation AUROC of the best epoch; raises `TrialPruned` for a trial that is behind or diverged."""

    def on_epoch(epoch: EpochRecord, _network: nn.Module, _is_best: bool) -> None:
        curves = {
            "train_loss": epoch.train_loss,
            "validation_loss": epoch.validation_loss,
            "validation_auroc": epoch.validation_auroc,
            "learning_rate": epoch.learning_rate,
        }
        run.metrics(curves, step=epoch.epoch)
        trial.report(epoch.validation_auroc, epoch.epoch)
        if trial.should_prune():
            run.tags({"optuna_state": "pruned"})
            raise optuna.TrialPruned(f"behind the median in epoch {epoch.epoch}")

    try:
        result = fit(lensnet, config, task.images, task.validation, on_epoch=on_epoch)
    except FloatingPointError as error:
        run.tags({"optuna_state": "diverged"})
        raise optuna.TrialPruned(str(error)) from error
    run.tags({"optuna_state": "complete"})
    return result.records[result.best_epoch].validation_auroc


def _best(study: optuna.Study) -> FrozenTrial:
    with suppress(ValueError):
        return study.best_trial
    raise RuntimeError(
        f"no trial of study {study.study_name} was completed, all diverged: lower train.learning_rate in params.yaml"
    )


def _write_pages(study: optuna.Study, paths: Paths, record: StageRun) -> None:
    """Write `metrics/<scale>/tune.csv` and `figures/<scale>/tune`, and print the table."""
    table, folder = pages.trials_table(study), paths.figures / "tune"
    folder.mkdir(parents=True, exist_ok=True)
    path = paths.metrics("tune").with_suffix(".csv")
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False, float_format="%.6g")
    shares = pages.importances(study)
    for name, figure in (("history", pages.history(table)), ("slices", pages.slices(table, shares))):
        figure.savefig(folder / f"{name}.png", dpi=100)
        record.figure(folder / f"{name}.png")
    print(table.to_string(index=False, float_format=lambda value: f"{value:.4g}"))
    if shares:
        print("\nimportance: " + ", ".join(f"{name} {share:.2f}" for name, share in shares.items()))
