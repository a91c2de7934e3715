"""The store when things go wrong: a locked database, a full disk, an old or foreign file."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, event, inspect, text
from sqlalchemy.engine import make_url

from empo.arena.database import PATIENCE, Database
from empo.arena.schema import NEWEST, POOLS, VERSION
from empo.arena.store import Store, open_store
from empo.errors import Busy, EmpoError, UsageError
from empo.settings import settings
from empo.types import Ballot
from tests.battles import BASE, LIVE, SFT, cast, ready


@contextmanager
def another_writer(url: str) -> Iterator[None]:
    """While this lasts, somebody else holds the writer's lock."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN EXCLUSIVE")
        else:
            connection.exec_driver_sql("BEGIN")
            connection.exec_driver_sql("LOCK TABLE battles, votes")
        try:
            yield
        finally:
            connection.exec_driver_sql("ROLLBACK")
    engine.dispose()


def test_a_database_locked_for_a_while_is_waited_for(database_url: str) -> None:
    store = Store(database_url)
    _, token = ready(store)
    votes = []
    with another_writer(database_url):
        thread = threading.Thread(
            target=lambda: votes.append(store.vote(token, "anon:1", Ballot("a")))
        )
        thread.start()
        thread.join(1.5)
        assert thread.is_alive() and not votes
    thread.join(60)
    assert len(votes) == len(store.votes()) == 1
    store.close()


def test_a_database_locked_for_long_is_said_and_nothing_is_lost(database_url: str) -> None:
    store = Store(database_url)
    _, token = ready(store)
    with another_writer(database_url):
        start = time.monotonic()
        with pytest.raises(Busy, match="try again in a moment"):
            store.vote(token, "anon:1", Ballot("a"))
        assert time.monotonic() - start > PATIENCE - 1
    assert len(store.votes()) == 0
    assert store.vote(token, "anon:1", Ballot("a")).ballot.outcome == "a"
    assert len(store.votes()) == 1
    store.close()


def test_another_thread_s_long_turn_is_said(
    memory_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("empo.arena.database.PATIENCE", 0.1)
    store = Store(f"sqlite:///{memory_path / 'v.sqlite3'}")
    _, token = ready(store)
    refused = []

    def other() -> None:
        try:
            store.vote(token, "anon:1", Ballot("a"))
        except EmpoError as error:
            refused.append(error)

    with store.database.write():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(60)
    assert [type(error) for error in refused] == [Busy]
    store.close()


def test_a_full_disk_refuses_a_vote_visibly_and_heals(memory_path: Path) -> None:
    """SQLite says “disk is full” at `max_page_count` as it does where the file system is."""
    store = Store(f"sqlite:///{memory_path / 'v.sqlite3'}")
    cast(store)
    limit = [1]  # no page more than there are

    @event.listens_for(store.database.engine, "checkout")
    def small(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count={limit[0]}").close()

    stored = 1
    with pytest.raises(EmpoError, match="disk of the store of votes is full"):
        for stored in range(1, 200):
            cast(store, voter=f"anon:{stored}", reason="x" * 500)
    assert len(store.votes()) == stored, "what was refused is not there, all else is"
    limit[0] = 1_000_000
    cast(store, reason="x" * 500)
    assert len(store.votes()) == stored + 1
    store.close()


LIMITED = """
import resource, signal, sys
from empo.arena.store import Store
from empo.errors import EmpoError
from empo.types import Ballot
from tests.battles import ready, said
store = Store(sys.argv[1])
_, token = ready(store, transcript=said("x" * 30_000, "y" * 30_000, "z" * 30_000))
size = resource.getrlimit(resource.RLIMIT_FSIZE)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, size[1]))
try:
    store.vote(token, "anon:1", Ballot("a"))
    print("stored")
except EmpoError as error:
    print(error)
print(len(store.votes()))
resource.setrlimit(resource.RLIMIT_FSIZE, size)
store.vote(token, "anon:1", Ballot("a"))
print(len(store.votes()))
"""


def test_a_file_that_may_not_grow_loses_nothing(memory_path: Path) -> None:
    url = f"sqlite:///{memory_path / 'v.sqlite3'}"
    command = [sys.executable, "-c", LIMITED, url]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    said, before, after = run.stdout.splitlines()
    assert "full" in said and "try again" in said
    assert (before, after) == ("0", "1")


# As written by version 1.
FIRST_VERSION = """
CREATE TABLE version (number INTEGER NOT NULL);
CREATE TABLE pools (id {serial}, name TEXT NOT NULL UNIQUE, document TEXT NOT NULL);
CREATE TABLE battles (id {serial}, battle TEXT NOT NULL UNIQUE, token TEXT NOT NULL UNIQUE,
  pool INTEGER NOT NULL REFERENCES pools (id), voter TEXT NOT NULL, model_a TEXT NOT NULL,
  revision_a TEXT NOT NULL, model_b TEXT NOT NULL, revision_b TEXT NOT NULL, item TEXT,
  emotion TEXT, consent TEXT NOT NULL, state TEXT NOT NULL, opened {real} NOT NULL);
CREATE INDEX battles_by_voter ON battles (voter);
CREATE INDEX battles_by_item ON battles (item);
CREATE TABLE votes (id {serial}, battle_id INTEGER NOT NULL UNIQUE REFERENCES battles (id),
  outcome TEXT NOT NULL, length_a INTEGER, length_b INTEGER, scores_a TEXT NOT NULL,
  scores_b TEXT NOT NULL, ratings TEXT NOT NULL, flags TEXT NOT NULL, at {real} NOT NULL);
CREATE TABLE words (battle_id INTEGER PRIMARY KEY REFERENCES battles (id), document TEXT NOT NULL);
INSERT INTO version VALUES (1);
INSERT INTO pools (name, document) VALUES ('nano, live, 0f6c2f1b9d9c', '{{"base":"b0b0b0b0",
  "live":true,"prompt":"none","quantisation":"none","sampling":null,"stack":"nano"}}');
INSERT INTO battles (battle, token, pool, voter, model_a, revision_a, model_b, revision_b, emotion,
  consent, state, opened) VALUES ('old', 'hash', 1, 'anon:1', 'base', '', 'sft', '5f75f7', 'sad',
  '1', 'voted', 1700000000);
INSERT INTO votes (battle_id, outcome, length_a, length_b, scores_a, scores_b, ratings, flags, at)
  VALUES (1, 'a', 2, 4, '{{}}', '{{"valence":0.5}}', '{{}}', '', 1700000000.5);
INSERT INTO words VALUES (1, '{{"reason":"warm",
  "rounds":[{{"a":"Oh no.","b":"Old?","message":"Hi"}}]}}');
"""


def first_version(url: str) -> None:
    engine = create_engine(url)
    lite = engine.dialect.name == "sqlite"
    serial = "INTEGER PRIMARY KEY AUTOINCREMENT" if lite else "SERIAL PRIMARY KEY"
    script = FIRST_VERSION.format(serial=serial, real="FLOAT")
    with engine.begin() as connection:
        for statement in script.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
    engine.dispose()


def columns(url: str) -> dict[str, set[str]]:
    engine = create_engine(url)
    look = inspect(engine)
    found = {t: {c["name"] for c in look.get_columns(t)} for t in look.get_table_names()}
    engine.dispose()
    return found


def driver(url: str) -> str:
    return make_url(url).render_as_string(hide_password=False)


def test_a_file_of_version_1_is_brought_forward(database_url: str, memory_path: Path) -> None:
    first_version(driver(database_url))
    store = Store(database_url)
    (row,) = store.rows()
    assert (row["battle"], row["erased"], row["reason"]) == ("old", False, "warm")
    assert (row["at"], row["scores_b"]) == ("2023-11-14T22:13:20.500+00:00", {"valence": 0.5})
    assert len(store.votes()) == 1
    cast(store)
    assert store.erase("old", "anon:1") == 1
    assert [r["erased"] for r in store.rows()] == [True, False]
    with store.database.read() as connection:
        assert connection.scalar(VERSION.select()) == NEWEST
    store.close()
    Store(database_url).close()
    fresh = f"sqlite:///{memory_path / 'fresh.sqlite3'}"
    Store(fresh).close()
    made = {t: c for t, c in columns(fresh).items() if not t.startswith("sqlite")}
    assert {t: c for t, c in columns(driver(database_url)).items() if t in made} == made


def test_a_step_that_fails_leaves_the_old_version_whole(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_version(driver(database_url))

    def broken(connection) -> None:
        connection.execute(text("ALTER TABLE votes ADD COLUMN erased INTEGER"))
        raise RuntimeError("halfway")

    with monkeypatch.context() as patch:
        patch.setattr("empo.arena.schema.STEPS", (broken,))
        with pytest.raises(RuntimeError):
            Store(database_url)
    assert "erased" not in columns(driver(database_url))["votes"]
    store = Store(database_url)
    assert len(store.votes()) == 1
    store.close()


def test_a_newer_file_is_left_alone(database_url: str) -> None:
    store = Store(database_url)
    with store.database.write() as connection:
        connection.execute(VERSION.update().values(number=NEWEST + 1))
    store.close()
    with pytest.raises(EmpoError, match=f"has version {NEWEST + 1}.*update the program"):
        Store(database_url)


def test_eight_that_start_at_once_make_one_store(database_url: str) -> None:
    errors, barrier = [], threading.Barrier(8)

    def start() -> None:
        barrier.wait(60)
        try:
            Database(database_url).close()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=start) for _ in range(8)]
    [thread.start() for thread in threads], [thread.join(120) for thread in threads]
    assert errors == []
    store = Store(database_url)
    cast(store)
    with store.database.read() as connection:
        assert len(connection.execute(VERSION.select()).all()) == 1
        assert len(connection.execute(POOLS.select()).all()) == 1
    store.close()


@pytest.mark.parametrize(
    "url", ["", "nonsense", "sqlite://", "mysql://u@h/d", "sqlite:///:memory:"]
)
def test_what_is_no_store_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="EMPO_DATABASE_URL"):
        Store(url)


def test_a_server_that_does_not_answer_is_said_without_its_password() -> None:
    with pytest.raises(EmpoError) as caught:
        Store("postgresql://empo:canary@127.0.0.1:9/votes")
    assert "EMPO_DATABASE_URL" in str(caught.value) and "canary" not in str(caught.value)


def test_a_file_that_is_no_database_is_said_and_left_alone(memory_path: Path) -> None:
    path = memory_path / "v.sqlite3"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(EmpoError, match="does not answer as it should"):
        Store(f"sqlite:///{path}")
    assert path.read_bytes() == b"not a database at all" * 100


def test_every_connection_is_durable(database_url: str) -> None:
    database = Database(database_url)
    held = [database.engine.connect() for _ in range(4)]
    for connection in held:
        if database.engine.dialect.name == "sqlite":
            asked = ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "mmap_size")
            got = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked]
            wal = sqlite3.sqlite_version_info >= (3, 51, 3)
            assert got == ["wal" if wal else "delete", 2, 1, 1, 0]
            assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 5000
        else:
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
            assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "5s"
        connection.close()
    database.close()


def test_where_votes_are_kept(memory_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMPO_HOME", str(memory_path / "a" / "home"))
    settings.cache_clear()
    store = open_store(settings())
    assert store.caps is not None
    cast(store)
    store.close()
    assert (memory_path / "a" / "home" / "arena.sqlite3").is_file()
    monkeypatch.setenv("EMPO_DATABASE_URL", f"sqlite:///{memory_path / 'b.sqlite3'}")
    settings.cache_clear()
    store = open_store(settings())
    store.open_battle("anon:1", LIVE, (BASE, SFT))
    assert len(store.votes()) == 0 and (memory_path / "b.sqlite3").is_file()
    store.close()
