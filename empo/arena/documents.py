"""What a battle's row keeps as JSON: words, ratings and scores, checked on the way in.

JSON in ASCII, so that any text (NUL, bidirectional marks, ten thousand combining marks) comes back
byte for byte from any database; a lone surrogate, which is no text, becomes U+FFFD on entry.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Final, get_args

from empo.errors import UsageError
from empo.types import (
    MECHANISMS,
    RATED,
    Ballot,
    Outcome,
    Rating,
    Round,
    Scores,
    Transcript,
    Turn,
)

MAX_TEXT: Final = 30_000  # characters of one message or reply
MAX_REASON: Final = 500
MAX_TURNS: Final = 50
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
_SURROGATES = re.compile(r"[\ud800-\udfff]")


def as_json(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def whole_text(text: str) -> str:
    """`text` with every lone surrogate replaced."""
    return _SURROGATES.sub("\ufffd", text)


def checked_transcript(transcript: Transcript) -> Transcript:
    """`transcript` as it will be stored.

    Raises:
        UsageError: nothing was said, or a text or the whole is too long.
    """
    rounds, context = transcript.rounds, transcript.context
    texts = [text for turn in rounds for text in (turn.message, turn.a, turn.b)]
    texts += [turn.text for turn in context]
    if not rounds or not all(turn.message.strip() for turn in rounds):
        raise UsageError("There is nothing to vote on: a battle needs a message and two replies.")
    if len(rounds) + len(context) > MAX_TURNS:
        raise UsageError(f"A battle has at most {MAX_TURNS} turns: vote, or start a new one.")
    if (longest := max(map(len, texts))) > MAX_TEXT:
        raise UsageError(f"A text has {longest:,} characters; at most {MAX_TEXT:,} are kept.")
    return Transcript(
        tuple(Round(*(whole_text(text) for text in (r.message, r.a, r.b))) for r in rounds),
        tuple(Turn(turn.role, whole_text(turn.text)) for turn in context),
    )


def checked_ballot(ballot: Ballot) -> Ballot:
    """`ballot` as it will be stored.

    Raises:
        UsageError: an outcome that is none, a rating out of its range, or too long a reason.
    """
    if not isinstance(ballot.outcome, str) or ballot.outcome not in OUTCOMES:
        raise UsageError(f"A vote is one of {', '.join(OUTCOMES)}.")
    for rating in (ballot.rating_a, ballot.rating_b):
        if rating is None:
            continue
        for name in RATED:
            value = getattr(rating, name)
            if value is not None and (type(value) is not int or not 0 <= value <= 100):
                raise UsageError(f"The rating “{name}” is a whole number from 0 to 100.")
        if rating.consistent not in (None, True, False):
            raise UsageError("The tick is set, not set, or left out.")
    if not isinstance(ballot.reason, str) or len(ballot.reason) > MAX_REASON:
        raise UsageError(f"A reason is a text of at most {MAX_REASON} characters: shorten it.")
    return replace(ballot, reason=whole_text(ballot.reason).strip())


def ratings_document(ballot: Ballot) -> str:
    sides = {"a": ballot.rating_a, "b": ballot.rating_b}
    return as_json({side: asdict(rating) for side, rating in sides.items() if rating})


def ballot_from(outcome: Outcome, ratings: str, words: Mapping[str, Any]) -> Ballot:
    """The ballot that was stored; without its reason where the words are gone."""
    sides = {side: Rating(**given) for side, given in json.loads(ratings).items()}
    return Ballot(outcome, sides.get("a"), sides.get("b"), words.get("reason", ""))


def words_document(transcript: Transcript | None, reason: str) -> str:
    """Words as JSON; "" where there are none."""
    words: dict[str, Any] = {}
    if transcript is not None:
        words |= {"rounds": [asdict(turn) for turn in transcript.rounds]}
        words |= {"context": [asdict(turn) for turn in transcript.context]}
    if reason:
        words["reason"] = reason
    return as_json(words) if words else ""


def transcript_from(words: Mapping[str, Any]) -> Transcript | None:
    """What was said, or None where the words are gone or were never kept."""
    if "rounds" not in words:
        return None
    rounds = tuple(Round(**turn) for turn in words["rounds"])
    return Transcript(rounds, tuple(Turn(**turn) for turn in words.get("context", ())))


def texts_of(words: Mapping[str, Any]) -> list[str]:
    """Every text in stored words: messages, replies, what went before, the reason."""
    texts = [turn[key] for turn in words.get("rounds", ()) for key in ("message", "a", "b")]
    texts += [turn["text"] for turn in words.get("context", ())]
    return [*texts, words["reason"]] if "reason" in words else texts


def score_numbers(scores: Scores | None) -> dict[str, float]:
    """The scores of a reply as numbers by name; what was not measured is left out."""
    if scores is None:
        return {}
    found = {name: score.expected for name in MECHANISMS if (score := scores.mechanism(name))}
    if scores.valence is not None and scores.valence.vader is not None:
        found["valence"] = scores.valence.vader
    return {name: round(value, 4) for name, value in found.items()}


def word_count(replies: tuple[str, ...]) -> int:
    """Words (white space) of all replies of one seat."""
    return sum(len(reply.split()) for reply in replies)
