"""A page with the Arena tab alone, on models that are named after canaries; for browser tests.

    python -m tests.arena_app --port N --folder FOLDER

The store lies in FOLDER. /canary/running says how many batches are being written now,
/canary/votes how many votes each battle has, /canary/battle?of=TOKEN which battle a token is for.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import gradio as gr
from sqlalchemy import func, select
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from empo.arena.drafts import token_hash
from empo.arena.schema import BATTLES, VOTES
from empo.arena.store import Store
from empo.data.deck import Card, Deck
from empo.settings import settings
from empo.types import Turn
from empo.ui.arena import ArenaHandlers
from empo.ui.arena_tab import ArenaTab
from empo.ui.launch import launch
from empo.ui.owner import Gate
from tests.arena_kit import HASHES, QUICK, SLOW, Paced, canary_stack, services


class Canaries(ArenaHandlers):
    """The real handlers, with a deck of canaries."""

    @property
    def decks(self):  # type: ignore[no-untyped-def]
        stack = self.services.stack
        told = (Turn("user", "A situation."),)
        cards = tuple(
            Card(f"card-{n}", "sad", "A card", told, {SLOW: f"One {n}.", QUICK: f"Two {n}."})
            for n in range(5)
        )
        deck = Deck(
            "canary-deck", "Title canary", stack.models, "", HASHES, None, "none", None, cards
        )
        return {"recorded": deck}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    args = parser.parse_args()
    store = Store(f"sqlite:///{args.folder / 'arena.sqlite3'}")
    speeds = {SLOW: 12.0, QUICK: 200.0}
    engine = Paced(canary_stack(), speeds, time.monotonic, time.sleep)
    handlers = Canaries(services(engine, args.folder), lambda: store)
    with gr.Blocks(analytics_enabled=False) as page, gr.Tabs(), gr.Tab("Arena", id="arena"):
        ArenaTab(handlers)

    async def running(request: Request) -> Response:
        return PlainTextResponse(str(engine.waiting()))

    async def votes(request: Request) -> Response:
        joined = BATTLES.join(VOTES, VOTES.c.battle_id == BATTLES.c.id)
        asked = (
            select(BATTLES.c.battle, func.count()).select_from(joined).group_by(BATTLES.c.battle)
        )
        with store.database.read() as connection:
            found = {row[0]: row[1] for row in connection.execute(asked)}
        return Response(json.dumps(found), media_type="application/json")

    async def battle(request: Request) -> Response:
        asked = select(BATTLES.c.battle).where(
            BATTLES.c.token == token_hash(request.query_params["of"])
        )
        with store.database.read() as connection:
            return PlainTextResponse(str(connection.scalar(asked)))

    canaries = (running, votes, battle)
    launch(
        page.queue(max_size=64, api_open=False, default_concurrency_limit=None),
        Gate(settings(), "127.0.0.1", args.port, key=b"k" * 32),
        "127.0.0.1",
        args.port,
        more_routes=[Route(f"/canary/{told.__name__}", told) for told in canaries],
    )
    print("ready", flush=True)
    page.block_thread()


if __name__ == "__main__":
    main()
