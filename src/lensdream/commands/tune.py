"""`lensdream tune`: search for better training settings with Optuna; tables and figures of the trials."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import optuna
import torch

from lensdream.commands.paths import Paths
from lensdream.config import Training, TuneConfig, load
from lensdream.dataset.labelled import LabelledImages
from lensdream.dataset.store import ImageStore
from lensdream.runtime.files import sha256_of
from lensdream.runtime.provenance import repository_root
from lensdream.tracking.runs import StageRun, stage_run
from lensdream.tuning import pages
from lensdream.tuning.database import Database
from lensdream.tuning.params_file import write_settings
from lensdream.tuning.search import Task, best_trial, judge, next_trial, open_study
from lensdream.tuning.space import SPACE, key_of, settings_of, with_settings
from lensdream.tuning.study_storage import Journal


def run(scale: str, root: Path = Path(), *, write: bool = False, storage: str | None = None) -> None:
    """Run trials until `tune.trials` are judged, earlier calls included; print them and the best settings.

    `write` puts the best settings into `lensnet` of `params.yaml`. `storage` is the URL of a PostgreSQL database that
    several machines share; without it the processes of this machine share a journal. Trials count only towards a search
    on the same images, with the same other settings. Raises `StoreError` without images, `ConfigError` for a URL that is
    none or whose driver is missing, `ConnectionError` where the database does not serve.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    params = root / "params.yaml"
    config = load("tune", TuneConfig, scale, params)
    study_storage = _journal(scale, root) if storage is None else Database.from_text(storage)
    current = load("lensnet", Training, scale, params)
    base = dataclasses.replace(current, fit=dataclasses.replace(current.fit, epochs=config.epochs), hard_negatives=0)
    folder = Paths(scale, root).images
    store = ImageStore.open(folder)
    task = Task(
        base,
        LabelledImages.from_store(store, "train", config.images),
        LabelledImages.from_store(store, "validation", None),
    )
    torch.set_num_threads(base.fit.threads)
    name = f"{scale}-{_study_digest(base, config, sha256_of(folder / 'manifest.json'))}"
    with study_storage.guarded():
        study = open_study(name, study_storage)
        with stage_run(
            "tune", scale, {"tune": config, "train": base}, root=root, datasets={"images": folder}
        ) as record:
            record.tags({"optuna_study": name, "optuna_place": study_storage.label})
            while (trial := next_trial(study, study_storage, config, base)) is not None:
                with study_storage.at_work(study, trial):
                    judge(study, trial, task, record)
            best = best_trial(study)
            record.metrics({"best_validation_auroc": best.value, "trials": len(study.get_trials(states=pages.JUDGED))})
            record.tags({f"best.{key}": str(value) for key, value in settings_of(best.params).items()})
            _write_pages(study, Paths(scale, root), record)
    print(f"\nbest settings (trial {best.number}, validation AUROC {best.value:.4f}):")
    print("\n".join(f"  {key}: {value}" for key, value in settings_of(best.params).items()))
    if write:
        write_settings(params, {key_of(name): value for name, value in settings_of(best.params).items()})
        print(f"written to lensnet in {params}")


def _journal(scale: str, root: Path) -> Journal:
    return Journal(repository_root(root) / "mlruns" / "optuna" / f"{scale}.log")


def _study_digest(base: Training, config: TuneConfig, images: str) -> str:
    """Digest of images, budget, fixed settings and search space: trials with the same digest are comparable."""
    fixed = dataclasses.asdict(with_settings(base, dict.fromkeys([*SPACE, "threads"])))
    return hashlib.sha256(repr((images, config.images, fixed, SPACE)).encode()).hexdigest()[:8]


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
