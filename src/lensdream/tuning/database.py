"""A study in a PostgreSQL database, for workers on several machines.

Process ids mean nothing on another machine: a worker shows by heartbeats that it lives. All times are the server's.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from threading import Event, Thread
from typing import Any

import sqlalchemy
from optuna import Study
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import RDBStorage, fail_stale_trials
from optuna.trial import FrozenTrial, Trial
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from lensdream.config import ConfigError
from lensdream.runtime.provenance import Worker
from lensdream.tuning.study_storage import StudyStorage

BEAT_S = 30
"""between two heartbeats [s]"""
GRACE_S = 150
"""after the last heartbeat a worker counts as dead [s]"""
TURN_S = 120
"""a machine that vanished in its turn loses it [s]"""

_DRIVER = "postgresql+psycopg"
_ALLOWED = f"{_DRIVER}://USER@HOST[:PORT]/DATABASE"
_LOCK = int.from_bytes(b"lensdrea")
"""of the turn, among the database's advisory locks"""


@dataclass(frozen=True)
class Database(StudyStorage):
    """A database of its own, shared by all who can reach it."""

    url: URL = field(repr=False)

    @classmethod
    def from_text(cls, text: str) -> Database:
        """Read a URL; raises `ConfigError`, without the password, for one that is not of a PostgreSQL database."""
        try:
            url = make_url(text)
        except (ArgumentError, ValueError):
            # A text that cannot be read may have a password anywhere in it.
            scheme, mark, _ = text.partition("://")
            raise _not_allowed(f"{scheme}://***" if mark else "***", "is not a URL") from None
        if "@" in f"{url.host}{url.database}":
            raise _not_allowed(f"{url.drivername}://***", "has a sign that must be escaped, as %40 for @") from None
        if url.drivername not in ("postgresql", _DRIVER):
            raise _not_allowed(_without_password(url), f"begins with {url.drivername}")
        if not url.database:
            raise _not_allowed(_without_password(url), "names no database")
        return cls(url.set(drivername=_DRIVER))

    @property
    def label(self) -> str:
        """URL without its password, and of its query only the path of a socket."""
        return _without_password(self.url)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Advisory lock of the server, given back when the connection ends, however it ends."""
        with warnings.catch_warnings(), self._engine.begin() as connection:
            # Optuna expects beats from `Study.optimize` only; `claim` and `at_work` send them here.
            warnings.filterwarnings("ignore", message="Heartbeat of storage")
            connection.execute(sqlalchemy.text(f"SET LOCAL idle_in_transaction_session_timeout = '{TURN_S}s'"))
            connection.execute(sqlalchemy.select(sqlalchemy.func.pg_advisory_xact_lock(_LOCK)))
            yield

    def open(self) -> RDBStorage:
        """Open the database, and make Optuna's tables where there are none."""
        return self._storage

    def is_dead(self, worker: Worker) -> bool:
        """False: of another machine's process nothing is sure, its heartbeats go stale."""
        return False

    def claim(self, study: Study, trial: Trial) -> None:
        """Send the first heartbeat."""
        self._storage.record_heartbeat(self._id_of(study, trial))
        super().claim(study, trial)

    @contextmanager
    def at_work(self, study: Study, trial: Trial) -> Iterator[None]:
        """Send heartbeats from a thread."""
        ended, trial_id = Event(), self._id_of(study, trial)

        def beat() -> None:
            while not ended.wait(BEAT_S):
                # The next beat makes up for one that was lost.
                with suppress(SQLAlchemyError, StorageInternalError):
                    self._storage.record_heartbeat(trial_id)

        thread = Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def close_abandoned(self, study: Study) -> list[FrozenTrial]:
        """Fail the trials without a heartbeat for `GRACE_S`, besides those that nobody claimed."""
        abandoned = super().close_abandoned(study)
        self._stale.clear()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            fail_stale_trials(study)
        return [*abandoned, *self._stale]

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Raise `ConnectionError` for every error of the server or of the way to it."""
        try:
            yield
        except (DBAPIError, StorageInternalError) as error:
            cause = error if isinstance(error, DBAPIError) else error.__cause__
            reason = " ".join(str(getattr(cause, "orig", None) or cause or error).split())
            raise ConnectionError(
                f"the database {self.label} does not serve: {reason}. See that the server runs and lets this machine in "
                "(pg_hba.conf), that the database exists and its owner is this user, and that the password is in "
                "PGPASSWORD or ~/.pgpass. Judged trials are kept: the same command goes on"
            ) from error

    @cached_property
    def _stale(self) -> list[FrozenTrial]:
        """Trials that Optuna failed last for want of a heartbeat."""
        return []

    @property
    def _connection(self) -> dict[str, str | int]:
        """Arguments of every connection: one time zone for all, so that no clock change ages a heartbeat."""
        options = f"{self.url.query.get('options', '')} -c timezone=UTC".strip()
        return {"connect_timeout": int(self.url.query.get("connect_timeout", 10)), "options": options}

    @cached_property
    def _engine(self) -> sqlalchemy.Engine:
        """Engine of the turn; each turn has a connection of its own."""
        return self._made(
            sqlalchemy.create_engine, self.url, connect_args=self._connection, poolclass=sqlalchemy.NullPool
        )

    @cached_property
    def _storage(self) -> RDBStorage:
        engine = {"pool_pre_ping": True, "connect_args": self._connection}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            try:
                return self._made(
                    RDBStorage,
                    self.url.render_as_string(hide_password=False),
                    engine_kwargs=engine,
                    heartbeat_interval=BEAT_S,
                    grace_period=GRACE_S,
                    heartbeat_stale_trial_callback=lambda _study, trial: self._stale.append(trial),
                )
            except RuntimeError as error:
                raise ConfigError(
                    f"the database {self.label} has tables of another program or of another Optuna: {error} Give the "
                    "search a database of its own (createdb lensdream)"
                ) from error

    def _made(self, make: Any, *arguments: object, **settings: object) -> Any:  # noqa: ANN401
        """Call `make`, which imports the driver."""
        try:
            return make(*arguments, **settings)
        except ImportError as error:
            raise ConfigError(
                f"--storage {self.label} needs the driver psycopg, which is not installed ({error}): "
                'pip install --constraint constraints.txt -e ".[postgresql]"'
            ) from error

    def _id_of(self, study: Study, trial: Trial) -> int:
        study_id = self._storage.get_study_id_from_name(study.study_name)
        return self._storage.get_trial_id_from_study_id_trial_number(study_id, trial.number)


def _without_password(url: URL) -> str:
    socket = {name: value for name, value in url.query.items() if name in ("host", "port")}
    return url.set(password=None, query=socket).render_as_string()


def _not_allowed(url: str, why: str) -> ConfigError:
    return ConfigError(
        f"--storage {url} {why}; allowed is the URL of a PostgreSQL database, {_ALLOWED}, with the password in PGPASSWORD "
        "or ~/.pgpass; without --storage the processes of this machine share a journal"
    )
