"""Storage of a study, and the turns that the processes take which share it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from optuna import Study
from optuna.storages import BaseStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock, JournalStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from lensdream.runtime.provenance import Worker


class StudyStorage(ABC):
    """Storage of a study: `Journal` on this machine, `database.Database` for many machines."""

    label: str
    """name of the storage, without secrets"""

    @abstractmethod
    def turn(self) -> AbstractContextManager[object]:
        """Lock of whoever opens the study or decides on the next trial."""

    @abstractmethod
    def open(self) -> BaseStorage:
        """Open the storage that Optuna writes to, in the own turn."""

    @abstractmethod
    def is_dead(self, worker: Worker) -> bool:
        """Whether a process has surely ended."""

    def guarded(self) -> AbstractContextManager[object]:
        """Context that raises the errors of a storage that is out of reach as one that says what to do."""
        return nullcontext()

    def claim(self, study: Study, trial: Trial) -> None:
        """Record, in the own turn, that this process works on the trial."""
        for name, value in Worker.current().tags().items():
            trial.set_user_attr(name, value)

    def at_work(self, study: Study, trial: Trial) -> AbstractContextManager[object]:
        """Context in which the trial trains and signs of life are sent."""
        return nullcontext()

    def close_abandoned(self, study: Study) -> list[FrozenTrial]:
        """Fail the trials whose process has ended, in the own turn, and return them.

        A running trial that no process has claimed is one of them: the process that asked for it ended in its turn.
        """
        abandoned = []
        for trial in study.get_trials(states=(TrialState.RUNNING,)):
            worker = Worker.from_tags(trial.user_attrs)
            if worker is None or self.is_dead(worker):
                study.tell(trial.number, state=TrialState.FAIL)
                abandoned.append(trial)
        return abandoned


@dataclass(frozen=True)
class Journal(StudyStorage):
    """A journal file, shared by the processes of one machine, which are identified by process ids."""

    path: Path

    @property
    def label(self) -> str:
        """Path of the file."""
        return str(self.path)

    def turn(self) -> FileLock:
        """Lock file beside the journal."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(self.path.with_suffix(".turn"))

    def open(self) -> JournalStorage:
        """Open the file; it need not exist."""
        return JournalStorage(JournalFileBackend(str(self.path), lock_obj=JournalFileOpenLock(str(self.path))))

    def is_dead(self, worker: Worker) -> bool:
        """Whether no such process runs on this machine."""
        return worker.is_dead()
