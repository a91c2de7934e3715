"""The finished conversation that the page opens with: real replies, made by the embedded models.

    python -m empo.ui.opening            # writes assets/opening.json anew

Two messages, chosen by us because their answers show what training changes; seed 0, the page's
settings, the stack nano in fp32 on the CPU; to be run again whenever the embedded models change.
The file holds what shows that it is genuine: seeds, sampling, adapters.
"""

from __future__ import annotations

import json
import sys

from empo.conversation import Conversation, from_data, say, to_data
from empo.errors import EmpoError
from empo.models.engine import Engine
from empo.models.fingerprint import short_hashes
from empo.models.stacks import load_stack
from empo.sampling import check_message
from empo.scoring.scorer import load_scorer
from empo.settings import ASSETS
from empo.ui.control import Control
from empo.ui.live_scorer import LiveScorer
from empo.ui.share import starting_sampling
from empo.ui.turns import answer, scored
from empo.ui.view import Cast

OPENING = ASSETS / "opening.json"
MESSAGES = (
    "My dog died last night.",
    "She was with me for twelve years.",
)


def read_opening() -> Conversation | None:
    """The shipped conversation; None where it is absent or damaged (the page opens empty)."""
    try:
        return from_data(json.loads(OPENING.read_text("utf-8")))
    except (OSError, ValueError, EmpoError):
        return None


def make(engine: Engine, cast: Cast, scorer: LiveScorer | None = None) -> Conversation:
    """Say `MESSAGES` to all models of the cast and keep what they answer, with its scores."""
    conversation = Conversation()
    specs = cast.stack.models
    sampling = starting_sampling(cast.stack)
    hashes = [cast.hash_of(spec) for spec in specs]
    for message in MESSAGES:
        conversation, asked = say(
            conversation, check_message(message), specs, sampling, cast.stack.prompt, hashes
        )
        for fuller in answer(engine, conversation, asked, specs, Control()):
            conversation = fuller
    return scored(conversation, scorer or LiveScorer())


def main() -> int:
    """Write the file; the exit code."""
    from empo.models.loading import load_engine

    scorer = LiveScorer(load_scorer)
    scorer.load_here()
    try:
        stack = load_stack("nano")
        engine = load_engine(stack, "none", lambda text, share: None)
    except EmpoError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    conversation = make(engine, Cast(stack, short_hashes(stack)), scorer)
    engine.close()
    OPENING.write_text(json.dumps(to_data(conversation), indent=1) + "\n", "utf-8")
    for exchange in conversation.path():
        print(f"\n{exchange.message}")
        for given in exchange.answers:
            print(f"  {given.label}: {given.text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
