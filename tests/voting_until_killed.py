"""A process that votes until it is killed, for tests/test_store_durability.py.

    python -m tests.voting_until_killed kills URL KILLS ACKS
    python -m tests.voting_until_killed strace URL VOTES [off]

`kills`: KILLS times a child is forked that votes in four threads and says each vote that was
acknowledged; after at least ACKS of them, and at a random moment, it is killed with SIGKILL. One
JSON object at the end: what was acknowledged, and what the store holds.
`strace`: VOTES votes, after each of which ACK is written; with `off`, synchronous is switched off.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
import threading
import time

from sqlalchemy import event

from empo.arena.store import Store
from empo.errors import Busy
from empo.types import Ballot
from tests.battles import ready, said

ACK = b"ack"
LONG = said("m" * 300, "a" * 300, "b" * 300)


def vote_for_ever(url: str, out: int) -> None:
    """Write each acknowledged battle's id as one line to `out`; never returns."""
    store = Store(url)

    def one(voter: str) -> None:
        while True:
            try:
                battle, token = ready(store, voter, transcript=LONG)
                store.vote(token, voter, Ballot("a"))
            except Busy:  # a slow machine
                continue
            try:
                os.write(out, f"{battle.id}\n".encode())
            except OSError:  # nobody is there any more to kill it
                os._exit(1)

    for i in range(4):
        threading.Thread(target=one, args=(f"anon:{i}",), daemon=True).start()
    threading.Event().wait()


def until_killed(url: str, acks: int, chance: random.Random) -> list[str]:
    """The battles that a child had acknowledged when it was killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            vote_for_ever(url, writing)
        finally:
            os._exit(1)
    os.close(writing)
    said_so = b""
    try:
        while said_so.count(b"\n") < acks:
            ready_now, _, _ = select.select([reading], [], [], 120)
            part = os.read(reading, 65_536) if ready_now else b""
            if not part:
                raise RuntimeError("the child has stopped voting by itself")
            said_so += part
        time.sleep(chance.random() * 0.02)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    while part := os.read(reading, 65_536):
        said_so += part
    os.close(reading)
    # A line that was cut off was acknowledged to nobody.
    return said_so.decode().rpartition("\n")[0].split("\n")


def kills(url: str, times: int, acks: int) -> None:
    chance = random.Random(0)
    acknowledged: list[str] = []
    for _ in range(times):
        acknowledged += until_killed(url, acks, chance)
    store = Store(url)
    sound = "ok"
    if url.startswith("sqlite"):
        with store.database.read() as connection:
            sound = connection.exec_driver_sql("PRAGMA integrity_check").scalar()
    stored = [row["battle"] for row in store.rows() if row["rounds"]]
    print(json.dumps({"acknowledged": acknowledged, "stored": stored, "integrity": sound}))


def traced(url: str, votes: int, synchronous: str) -> None:
    store = Store(url)
    if synchronous == "off":

        @event.listens_for(store.database.engine, "checkout")
        def careless(connection, *_: object) -> None:
            connection.execute("PRAGMA synchronous=OFF").close()

    for i in range(votes):
        _, token = ready(store, f"anon:{i}")
        os.write(1, b"ready\n")  # what was synced before is not counted for the vote
        store.vote(token, f"anon:{i}", Ballot("a"))
        os.write(1, ACK + b"\n")


if __name__ == "__main__":
    if sys.argv[1] == "kills":
        kills(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        traced(sys.argv[2], int(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else "full")
