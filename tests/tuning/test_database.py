"""The search across machines: workers that share a real PostgreSQL server."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import optuna
import pytest
from sqlalchemy.engine import make_url

from conftest import TESTS
from lensdream import cli, tuning
from lensdream.config import ConfigError, TuneConfig, load
from lensdream.tuning import database, search
from lensdream.tuning.database import Database
from tuning_study import pretend, wanted

PASSWORD = "very@secret/{word}"
QUOTED = "very%40secret%2F%7Bword%7D"
PATIENCE_S = 1200
WORKER = """
import socket, sys, time
from pathlib import Path
from lensdream.tuning import database, search
from tuning_study import pretend

root, url, name, others = sys.argv[1:]
socket.gethostname = lambda: name
database.BEAT_S = 1
good, calls = pretend(lambda call: [0.8, 0.9])

def fit(*arguments, **keywords):
    if not calls:
        (Path(others) / name).touch()
        while len(list(Path(others).iterdir())) < 2:
            time.sleep(0.1)
    return good(*arguments, **keywords)

search.fit = fit
search.run("quick", Path(root), storage=url)
"""


@pytest.fixture(scope="session")
def server():
    """A server of its own on a free port; its `postgres` has a password."""
    pytest.importorskip("psycopg", reason='needs the extra "postgresql"')
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not programs:
        pytest.skip("needs Debian's package postgresql")
    if os.getuid() == 0 and not shutil.which("runuser"):
        pytest.skip("PostgreSQL does not run as root, and there is no runuser")
    folder = Path(tempfile.mkdtemp(prefix="lensdream-postgresql-"))
    (folder / "password").write_text(PASSWORD)
    as_user = []
    if os.getuid() == 0:
        as_user = ["runuser", "-u", "postgres", "--"]
        for path in (folder, folder / "password"):
            shutil.chown(path, "postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def call(program, *arguments):
        command = [*as_user, str(programs[-1].with_name(program)), "-D", str(folder / "data"), *arguments]
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, timeout=PATIENCE_S)

    call("initdb", "-U", "postgres", "-A", "scram-sha-256", "--pwfile", str(folder / "password"), "--no-sync")
    settings = f"-c fsync=off -c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder}"
    start = ("start", "-w", "-t", str(PATIENCE_S), "-l", str(folder / "log"), "-o", settings)
    call("pg_ctl", *start)

    def restart():
        call("pg_ctl", "stop", "-m", "fast", "-w")
        call("pg_ctl", *start)

    yield f"postgresql+psycopg://postgres:{QUOTED}@127.0.0.1:{port}", restart
    call("pg_ctl", "stop", "-m", "immediate")
    shutil.rmtree(folder)


@pytest.fixture
def url(server):
    """URL of an empty database."""
    import psycopg

    base, name = server[0], f"study_{secrets.token_hex(4)}"
    with psycopg.connect(f"{base}/postgres".replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{base}/{name}"


@pytest.fixture
def machine(prepared, tmp_path, monkeypatch):
    """Make a repository, each like one on another machine."""
    monkeypatch.chdir(tmp_path)
    return lambda name: Path(shutil.copytree(prepared, tmp_path / name))


@pytest.fixture
def work(tmp_path):
    """Start a worker process; whatever is left of it ends with the test."""
    (tmp_path / "at-work").mkdir()
    workers = []

    def start(root, url):
        command = [sys.executable, "-c", WORKER, str(root), url, root.name, str(tmp_path / "at-work")]
        log = (tmp_path / f"{root.name}.log").open("w")
        path = os.pathsep.join([str(TESTS), *sys.path])
        workers.append(
            subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path, env=os.environ | {"PYTHONPATH": path})
        )
        return workers[-1]

    yield start
    for worker in workers:
        worker.kill()
        worker.wait()


def trials_of(url):
    (name,) = optuna.get_all_study_names(url)
    return optuna.load_study(study_name=name, storage=url).get_trials()


def states_of(url):
    return [trial.state.name for trial in trials_of(url)]


@pytest.mark.slow
def test_two_machines_share_a_search(url, machine, work, tmp_path):
    roots = [machine("a"), machine("b")]
    for root in roots:
        wanted(root, 6)
    workers = [work(root, url) for root in roots]
    codes = [worker.wait(PATIENCE_S) for worker in workers]
    printed = "".join((tmp_path / f"{root.name}.log").read_text() for root in roots)
    assert codes == [0, 0], printed
    trials = trials_of(url)
    assert states_of(url) == ["COMPLETE"] * 6
    assert len({tuple(tuning.settings_of(trial.params).items()) for trial in trials}) == 6
    assert {trial.user_attrs["host"] for trial in trials} == {"a", "b"}
    assert sum(printed.count(f"trial {trial.number}: validation AUROC") for trial in trials) == 6
    kept = b"".join(path.read_bytes() for root in roots for path in (root / "mlruns").rglob("*") if path.is_file())
    assert b"postgres:***@127.0.0.1" in kept
    for secret in (PASSWORD, QUOTED, "very@secret"):
        assert secret not in printed
        assert secret.encode() not in kept


@pytest.mark.slow
def test_the_trial_of_a_killed_worker_is_taken_up_again_once(url, server, machine, work, tmp_path, monkeypatch):
    worker = work(machine("a"), url)
    deadline = time.monotonic() + PATIENCE_S
    # It waits in its trial for another worker that never comes.
    while not (tmp_path / "at-work" / "a").exists():
        assert worker.poll() is None, (tmp_path / "a.log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    fit, _ = pretend(lambda call: [0.9])
    monkeypatch.setattr(search, "fit", fit)
    here = machine("b")
    tuning.run("quick", here, storage=url)
    assert states_of(url) == ["RUNNING", "COMPLETE"]
    _, restart = server
    restart()
    monkeypatch.setattr(database, "GRACE_S", 1)
    time.sleep(1.5)
    tuning.run("quick", here, storage=url)
    trials = trials_of(url)
    assert [trial.state.name for trial in trials] == ["FAIL", "COMPLETE", "COMPLETE"]
    assert trials[2].params == trials[0].params
    assert trials[2].user_attrs["retry_of"] == 0
    tuning.run("quick", here, storage=url)
    assert len(trials_of(url)) == 3

    # Whoever tries it again may die too, and that was it.
    storage = Database.from_text(url)
    study = search.open_study(optuna.get_all_study_names(url)[0], storage)
    study.enqueue_trial(trials[0].params, user_attrs={"retry_of": 0})
    with storage.turn():
        storage.claim(study, study.ask(tuning.SPACE))
    time.sleep(1.5)
    wanted(here, 3)
    tuning.run("quick", here, storage=url)
    trials = trials_of(url)
    assert [trial.state.name for trial in trials] == ["FAIL", "COMPLETE", "COMPLETE", "FAIL", "COMPLETE"]
    assert "retry_of" not in trials[4].user_attrs


def test_a_worker_that_was_given_up_goes_on_with_the_next_trial(url, machine, monkeypatch, capsys):
    monkeypatch.setattr(database, "GRACE_S", 1)
    good, calls = pretend(lambda call: [0.9])
    here = machine("a")

    def fit(*arguments, **keywords):
        if not calls:
            time.sleep(1.5)
            other = Database.from_text(url)
            study = search.open_study(optuna.get_all_study_names(url)[0], other)
            base = load("lensnet", search.Training, "quick", here / "params.yaml")
            config = load("tune", TuneConfig, "quick", here / "params.yaml")
            trial = search.next_trial(study, other, config, base)
            study.tell(trial, 0.7)
        return good(*arguments, **keywords)

    monkeypatch.setattr(search, "fit", fit)
    tuning.run("quick", here, storage=url)
    assert states_of(url) == ["FAIL", "COMPLETE", "COMPLETE"]
    assert trials_of(url)[1].user_attrs["retry_of"] == 0
    assert "trial 0: given up by the others" in capsys.readouterr().out


def test_beats_keep_a_long_trial_alive(url, machine, monkeypatch):
    monkeypatch.setattr(database, "BEAT_S", 0.2)
    monkeypatch.setattr(database, "GRACE_S", 5)
    here = machine("a")
    found = []
    good, _ = pretend(lambda call: [0.9])

    def fit(*arguments, **keywords):
        time.sleep(6)
        other = Database.from_text(url)
        study = search.open_study(optuna.get_all_study_names(url)[0], other)
        with other.turn():
            found.extend(other.close_abandoned(study))
        return good(*arguments, **keywords)

    monkeypatch.setattr(search, "fit", fit)
    wanted(here, 1)
    tuning.run("quick", here, storage=url)
    assert not found
    assert states_of(url) == ["COMPLETE"]


def test_the_turn_is_one_worker_s_at_a_time(url):
    first, second = Database.from_text(url), Database.from_text(url)
    with first.turn(), second._engine.begin() as connection:
        taken = connection.exec_driver_sql(f"SELECT pg_try_advisory_xact_lock({database._LOCK})").scalar()
        assert taken is False
    with second._engine.begin() as connection:
        assert connection.exec_driver_sql(f"SELECT pg_try_advisory_xact_lock({database._LOCK})").scalar() is True


@pytest.mark.parametrize(
    "text",
    [
        "study.db",
        "host=here password=secret",
        "sqlite:///study.db",
        "mysql://user:secret@here/study",
        "postgresql://user:secret@here",
        "postgresql://user:secret@here:port/study",
        "postgresql://user:p@secret@here/study",
        "postgresql://us/er:secret@here/study",
        "mysql://here/study?password=secret",
    ],
)
def test_a_url_that_is_none_is_refused_without_its_password(text):
    with pytest.raises(
        ConfigError, match="allowed is the URL of a PostgreSQL database, postgresql\\+psycopg://"
    ) as caught:
        Database.from_text(text)
    assert "secret" not in str(caught.value)


def test_a_plain_postgresql_url_means_our_driver():
    storage = Database.from_text("postgresql://user:secret@here/study?host=/run/postgresql&password=secret")
    assert storage.label == "postgresql+psycopg://user:***@here/study?host=%2Frun%2Fpostgresql"
    assert "secret" not in repr(storage)


def test_a_missing_driver_is_named_with_the_remedy(machine, monkeypatch, capsys):
    monkeypatch.chdir(machine("a"))
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert cli.main(["tune", "--scale", "quick", "--storage", "postgresql://user:secret@here/study"]) == 2
    error = capsys.readouterr().err
    assert '-e ".[postgresql]"' in error
    assert "secret" not in error


def test_a_database_out_of_reach_is_named_with_the_remedy(machine, monkeypatch, capsys):
    pytest.importorskip("psycopg", reason='needs the extra "postgresql"')
    monkeypatch.chdir(machine("a"))
    assert cli.main(["tune", "--scale", "quick", "--storage", "postgresql://user:secret@127.0.0.1:1/study"]) == 2
    error = capsys.readouterr().err
    assert "the database postgresql+psycopg://user:***@127.0.0.1:1/study does not serve" in error
    assert "See that the server runs" in error
    assert "secret" not in error


def test_a_wrong_password_is_not_repeated(url, machine):
    wrong = make_url(url).set(password="wrongly-remembered").render_as_string(hide_password=False)
    with pytest.raises(ConnectionError, match="password authentication failed") as caught:
        tuning.run("quick", machine("a"), storage=wrong)
    assert "wrongly-remembered" not in str(caught.value)


def test_a_database_with_other_tables_is_refused(url, machine):
    import psycopg

    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num varchar(32))")
        connection.execute("INSERT INTO alembic_version VALUES ('of-mlflow')")
    with pytest.raises(ConfigError, match="a database of its own"):
        tuning.run("quick", machine("a"), storage=url)
