"""Where a study lies, and how the processes that share it keep out of each other's way."""

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


class StudyPlace(ABC):
    """Where a study lies: `Journal` on this machine, `database.Database` for many."""

    shown: str
    """its name, without secrets"""

    @abstractmethod
    def turn(self) -> AbstractContextManager[object]:
        """Lock of whoever opens the study or decides on the next trial."""

    @abstractmethod
    def open_storage(self) -> BaseStorage:
        """Open what Optuna writes to, in the own turn."""

    @abstractmethod
    def is_dead(self, worker: Worker) -> bool:
        """Whether a process has surely ended."""

    def guarded(self) -> AbstractContextManager[object]:
        """Turn the errors of a place that is out of reach into one that says so and names the remedy."""
        return nullcontext()

    def claim(self, study: Study, trial: Trial) -> None:
        """Write down, in the own turn, that this process is at work on the trial."""
        for name, value in Worker.current().tags().items():
            trial.set_user_attr(name, value)

    def at_work(self, study: Study, trial: Trial) -> AbstractContextManager[object]:
        """Show signs of life while the trial trains."""
        return nullcontext()

    def close_abandoned(self, study: Study) -> list[FrozenTrial]:
        """Fail the trials whose process has ended, in the own turn; return them.

        A running trial that nobody has claimed is one of them: who asked for it held the turn and ended in it.
        """
        abandoned = []
        for trial in study.get_trials(states=(TrialState.RUNNING,)):
            worker = Worker.from_tags(trial.user_attrs)
            if worker is None or self.is_dead(worker):
                study.tell(trial.number, state=TrialState.FAIL)
                abandoned.append(trial)
        return abandoned


@dataclass(frozen=True)
class Journal(StudyPlace):
    """A journal file, shared by the processes of one machine: they know each other by their process ids."""

    path: Path

    @property
    def shown(self) -> str:
        """The file."""
        return str(self.path)

    def turn(self) -> FileLock:
        """Lock beside the journal."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(self.path.with_suffix(".turn"))

    def open_storage(self) -> JournalStorage:
        """Open the file; it need not exist."""
        return JournalStorage(JournalFileBackend(str(self.path), lock_obj=JournalFileOpenLock(str(self.path))))

    def is_dead(self, worker: Worker) -> bool:
        """Whether no such process runs here."""
        return worker.is_dead()
