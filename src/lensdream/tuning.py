"""The search for better training settings; the only module that imports Optuna.

A trial trains for a few epochs on a part of the images and is judged by the area under the validation ROC curve. Trials
lie in a journal beside MLflow's database: a search that was stopped goes on, and several processes share one search.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
import torch
import yaml
from filelock import FileLock
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock, JournalStorage
from optuna.trial import FrozenTrial, Trial, TrialState
from torch import nn

from lensdream.config import ConfigError, TrainConfig, TuneConfig, load
from lensdream.dataset import ImageStore
from lensdream.dataset.store import sha256_of
from lensdream.paths import Paths
from lensdream.provenance import Worker, repository_root
from lensdream.tracking import StageRun, stage_run
from lensdream.train import EpochRecord, LabelledImages, fit
from lensdream.trainees import lensnet

SPACE: dict[str, BaseDistribution] = {
    "learning_rate": FloatDistribution(3e-4, 2e-2, log=True),
    "weight_decay": FloatDistribution(1e-4, 3e-1, log=True),
    "width": CategoricalDistribution((16, 24, 32, 48)),
    "dropout": FloatDistribution(0.0, 0.5),
    "batch_size": CategoricalDistribution((32, 64, 128)),
    "band_dropout": FloatDistribution(0.0, 0.3),
    "label_smoothing": FloatDistribution(0.0, 0.1),
    "shift_pixels": IntDistribution(0, 4),
}
"""settings of `TrainConfig` that are searched, and where"""

_JUDGED = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True)
class Task:
    """What every trial of a search shares."""

    train: TrainConfig
    images: LabelledImages
    validation: LabelledImages


def run(scale: str, root: Path = Path(), *, write: bool = False) -> None:
    """Search until `tune.trials` trials are judged, those of earlier calls included; print them and the best settings.

    `write` puts the best settings into `train.shared` of `params.yaml`. Trials count only towards a search on the same
    images, with the same other settings. Raises `StoreError` without images.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    params = root / "params.yaml"
    config = load("tune", TuneConfig, scale, params)
    current = load("train", TrainConfig, scale, params)
    base = dataclasses.replace(current, epochs=config.epochs)
    folder = Paths(scale, root).images
    store = ImageStore.open(folder)
    task = Task(
        base,
        LabelledImages.from_store(store, "train", config.images),
        LabelledImages.from_store(store, "validation", None),
    )
    torch.set_num_threads(base.threads)
    study = _open_study(scale, root, config, _question(base, config, sha256_of(folder / "manifest.json")))
    with stage_run("tune", scale, {"tune": config, "train": base}, root=root, datasets={"images": folder}) as record:
        record.tags({"optuna_study": study.study_name})
        while (trial := _next_trial(study, scale, root, config, base)) is not None:
            _judge(study, trial, task, record)
        best = _best(study)
        record.metrics({"best_validation_auroc": best.value, "trials": len(study.get_trials(states=_JUDGED))})
        record.tags({f"best.{name}": str(value) for name, value in settings_of(best.params).items()})
    print(_table(study))
    print(f"\nbest settings (trial {best.number}, validation AUROC {best.value:.4f}):")
    print("\n".join(f"  {name}: {value}" for name, value in settings_of(best.params).items()))
    if write:
        write_settings(params, settings_of(best.params))
        print(f"written to train.shared in {params}")


def settings_of(parameters: Mapping[str, float]) -> dict[str, float]:
    """Return the settings a trial trains with: real numbers to three digits, so that they can be written down."""
    return {
        name: float(f"{parameters[name]:.3g}") if isinstance(distribution, FloatDistribution) else int(parameters[name])
        for name, distribution in SPACE.items()
    }


def _question(base: TrainConfig, config: TuneConfig, images: str) -> str:
    """Digest of what makes trials comparable: images, budget, the settings that are not searched, and the space."""
    fixed = {name: value for name, value in dataclasses.asdict(base).items() if name not in SPACE and name != "threads"}
    return hashlib.sha256(repr((images, config.images, fixed, SPACE)).encode()).hexdigest()[:8]


def _open_study(scale: str, root: Path, config: TuneConfig, question: str) -> optuna.Study:
    journal = _journal(scale, root)
    journal.parent.mkdir(parents=True, exist_ok=True)
    backend = JournalFileBackend(str(journal), lock_obj=JournalFileOpenLock(str(journal)))
    with _turn(scale, root):
        study = optuna.create_study(
            study_name=f"{scale}-{question}",
            storage=JournalStorage(backend),
            direction="maximize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=3, n_warmup_steps=1),
            load_if_exists=True,
        )
        # A sampler that starts anew from the same seed would draw the first trials again.
        seed = np.random.SeedSequence([config.seed, len(study.get_trials(deepcopy=False))]).generate_state(1)
        study.sampler = optuna.samplers.TPESampler(seed=int(seed[0]))
    return study


def _journal(scale: str, root: Path) -> Path:
    return repository_root(root) / "mlruns" / "optuna" / f"{scale}.log"


def _turn(scale: str, root: Path) -> FileLock:
    """Lock of whoever decides on the next trial."""
    return FileLock(_journal(scale, root).with_suffix(".turn"))


def _next_trial(study: optuna.Study, scale: str, root: Path, config: TuneConfig, base: TrainConfig) -> Trial | None:
    """Start a trial; None when all that are wanted are judged or under way."""
    with _turn(scale, root):
        _retry_the_dead(study)
        if not study.get_trials(deepcopy=False):
            # The settings in use come first: the best is never worse than they are.
            now = {name: getattr(base, name) for name in SPACE}
            study.enqueue_trial({name: value for name, value in now.items() if _holds(SPACE[name], value)})
        if len(study.get_trials(deepcopy=False, states=(*_JUDGED, TrialState.RUNNING))) >= config.trials:
            return None
        trial = study.ask(SPACE)
        for name, value in Worker.current().tags().items():
            trial.set_user_attr(name, value)
        return trial


def _holds(distribution: BaseDistribution, value: float) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    return distribution.low <= value <= distribution.high


def _retry_the_dead(study: optuna.Study) -> None:
    """Close the trials whose process has ended, and queue their settings again, once."""
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        worker = Worker.from_tags(trial.user_attrs)
        if worker is not None and not worker.is_dead():
            continue
        study.tell(trial.number, state=TrialState.FAIL)
        if trial.params and "retry_of" not in trial.user_attrs:
            study.enqueue_trial(trial.params, user_attrs={"retry_of": trial.number})


def _judge(study: optuna.Study, trial: Trial, task: Task, record: StageRun) -> None:
    """Train with the trial's settings and tell the study how it went."""
    config = dataclasses.replace(task.train, **settings_of(trial.params))
    try:
        with record.nested(f"trial {trial.number}", config, stopped_by=(optuna.TrialPruned,)) as run:
            value = _train(trial, config, task, run)
            run.metrics({"best_validation_auroc": value})
    except optuna.TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
        print(f"trial {trial.number}: pruned", flush=True)
    except KeyboardInterrupt:
        study.tell(trial, state=TrialState.FAIL)
        study.enqueue_trial(trial.params, user_attrs={"retry_of": trial.number})
        raise
    except BaseException:
        study.tell(trial, state=TrialState.FAIL)
        raise
    else:
        study.tell(trial, value)
        print(f"trial {trial.number}: validation AUROC {value:.4f}", flush=True)


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


def _table(study: optuna.Study) -> str:
    """Trials that were judged, best first."""
    trials = sorted(study.get_trials(states=_JUDGED), key=lambda trial: (trial.state, -(trial.value or 0.0)))
    head = ["trial", "state", "AUROC", "seconds", *SPACE]
    rows = [
        [
            str(trial.number),
            trial.state.name.lower(),
            "" if trial.value is None else f"{trial.value:.4f}",
            "" if trial.duration is None else f"{trial.duration.total_seconds():.0f}",
            *(f"{value:g}" for value in settings_of(trial.params).values()),
        ]
        for trial in trials
    ]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in [head, *rows]
    )


def write_settings(params: Path, settings: Mapping[str, float]) -> None:
    """Replace values under `train.shared` in a `params.yaml`, and nothing else: comments and their columns stay.

    Raises `ConfigError` for a setting that is not there.
    """
    text = params.read_text()
    lines = text.splitlines(keepends=True)
    for name, value in settings.items():
        at = _line_of(lines, ("train", "shared", name))
        if at is None:
            raise ConfigError(f"{params} has no train.shared.{name}: move it there from the scales and write again")
        key, _, rest = lines[at].partition(":")
        old, mark, comment = rest.rstrip("\n").partition("#")
        new = f" {_yaml(value)}"
        lines[at] = f"{key}:{new.ljust(len(old) - 1) + ' ' if mark else new}{mark}{comment}\n"
    expected = yaml.safe_load(text)
    expected["train"]["shared"] |= settings
    if yaml.safe_load("".join(lines)) != expected:
        raise ConfigError(f"{params} is laid out in a way that cannot be edited by line: set {dict(settings)} by hand")
    part = params.with_name(f"{params.name}.part")
    part.write_text("".join(lines))
    part.replace(params)


def _line_of(lines: list[str], path: tuple[str, ...]) -> int | None:
    """Find the line that sets the key at `path` in block style, two spaces a level."""
    depth = 0
    for number, line in enumerate(lines):
        indent = len(line) - len(line.lstrip(" "))
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        depth = min(depth, indent // 2)
        if indent == 2 * depth and line.lstrip().startswith(f"{path[depth]}:"):
            if depth == len(path) - 1:
                return number
            depth += 1
    return None


def _yaml(value: float) -> str:
    """Write a number without an exponent: YAML reads `1e-05` as text."""
    return np.format_float_positional(value, trim="0") if isinstance(value, float) else str(value)
