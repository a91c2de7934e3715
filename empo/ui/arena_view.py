"""What the Arena tab shows, as plain values that its script only draws. No Gradio here.

Before the vote there is nothing in a view that belongs to one side but its own words: no name, no
colour, no score, no time, no length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from empo.arena.taste import ENOUGH, Taste
from empo.battle import Field, Mode, Sitting
from empo.danger import points_to_danger
from empo.scoring.card import Listener
from empo.types import Outcome, Reveal
from empo.ui.colours import colours
from empo.ui.mechanisms import gauges

Phase = Literal["start", "waiting", "writing", "choose", "stopped", "voted", "withdrawn"]

CONSENT_TEXT = (
    "A vote on live replies stores your words and both replies with it, for the people who run "
    "this page, who may publish them and train models on them (never words that point to danger); "
    "you can erase them again, without a vote nothing is stored, and sending is consent."
)
MODES: dict[Mode, str] = {
    "live": "Live replies",
    "recorded": "Recorded replies",
    "paper": "The paper’s replies",
}
_OWN, _DEALT = "You", "Situation"
_FLAGS = {
    "identity": "A reply names a model or its maker, so this vote does not count in the ranking.",
    "danger": "These words are shown to nobody, published nowhere and never trained on.",
}
_CHOICES: dict[Outcome, str] = {
    "a": "A is better",
    "b": "B is better",
    "tie": "Tie",
    "both_bad": "Both bad",
}


def blank(mode: Mode, modes: Sequence[Mode], notice: str = "", box: str | None = None) -> Any:
    """The tab before a battle; `box` is text that goes back to where it was written."""
    return {
        "phase": "start",
        "mode": mode,
        "modes": [{"id": name, "label": MODES[name]} for name in modes],
        "token": "",
        "context": [],
        "rounds": [],
        "notice": notice,
        "care": False,
        "box": box,
        "reveal": None,
    }


def waiting(
    mode: Mode, modes: Sequence[Mode], message: str, notice: str, dealt: bool
) -> dict[str, Any]:
    """A message has been sent, or a situation `dealt`; who answers is not decided yet."""
    rounds = [{"who": _DEALT if dealt else _OWN, "message": message, "a": "", "b": ""}]
    care = points_to_danger(message)
    return blank(mode, modes, notice) | {"phase": "waiting", "rounds": rounds, "care": care}


def battle_view(
    sitting: Sitting,
    modes: Sequence[Mode],
    phase: Phase,
    notice: str = "",
    frame: tuple[str, str] | None = None,
) -> dict[str, Any]:
    """A battle; `frame` is what has been given out so far of the last two replies."""
    rounds = [{"who": _OWN, "message": r.message, "a": r.a, "b": r.b} for r in sitting.rounds]
    if frame is not None:
        rounds[-1] = rounds[-1] | {"a": frame[0], "b": frame[1]}
    if sitting.pending is not None:
        rounds.append({"who": _OWN, "message": sitting.pending, "a": "", "b": ""})
    if sitting.battle.emotion is not None:
        rounds[0]["who"] = _DEALT if not sitting.context else "Speaker"
    said = [*(turn["message"] for turn in rounds), *(turn.text for turn in sitting.context)]
    return blank(sitting.field.mode, modes, notice) | {
        "phase": phase,
        "token": sitting.token,
        "context": [{"role": turn.role, "text": turn.text} for turn in sitting.context],
        "rounds": rounds,
        "care": any(map(points_to_danger, said)),
    }


def voted_view(
    sitting: Sitting,
    reveal: Reveal,
    modes: Sequence[Mode],
    listener: Listener | None,
    notice: str = "",
    erased: bool = False,
) -> dict[str, Any]:
    """The battle with its names, after the vote."""
    played = sitting.field
    tints = colours((model.name, model.stage) for model in played.models)
    sides = []
    for seat, scores in zip(reveal.battle.seats, sitting.scores or (None, None), strict=True):
        spec = played.specs[seat.model]
        proof = f"adapter {seat.revision}" if seat.revision else ""
        sides.append(
            {
                "label": spec.label,
                "plain": spec.plain,
                "proof": proof,
                "colour": tints[seat.model],
                "gauges": gauges(scores, True, listener),
            }
        )
    return battle_view(sitting, modes, "voted", notice) | {
        "reveal": {
            "outcome": reveal.ballot.outcome,
            "said": _CHOICES[reveal.ballot.outcome],
            "sides": sides,
            "others": others_sentence(reveal),
            "flags": [_FLAGS[flag] for flag in reveal.flags if flag in _FLAGS],
            "erasable": played.deck is None or bool(reveal.ballot.reason),
            "erased": erased,
        }
    }


def others_sentence(reveal: Reveal) -> str:
    """How the others judged the same two replies; "" before five voters have."""
    others = reveal.others
    if others is None:
        return ""
    agreed = max(0, others.counts.get(reveal.ballot.outcome, 0) - 1)
    return f"{agreed} of {others.voters - 1} other people agreed with you."


def standing(
    played: Field,
    report: Mapping[str, Any],
    mine: Mapping[str, Taste],
    everybody: Mapping[str, Taste],
    votes: int,
) -> dict[str, Any]:
    """How far the ranking is, and the voter's own taste once they cast enough `votes`."""
    missing = ENOUGH - votes
    found: dict[str, Any] = {"sentence": needed_sentence(played, report), "taste": None, "hint": ""}
    if missing > 0:
        if votes:
            noun = "vote" if missing == 1 else "votes"
            found["hint"] = f"{missing} more {noun}, and you see your own taste."
        return found
    tints = colours((model.name, model.stage) for model in played.models)
    rows = []
    for spec in played.models:
        seat = played.seat(spec.name)
        # As the store calls a model of which it knows several revisions.
        name = spec.name if spec.name in everybody else f"{seat.model}@{seat.revision or '-'}"
        own, all_ = mine.get(name), everybody.get(name)
        rows.append(
            {
                "label": spec.label,
                "colour": tints[spec.name],
                "mine": own.share if own else None,
                "all": all_.share if all_ else None,
            }
        )
    return found | {"taste": {"votes": votes, "rows": rows}}


def needed_sentence(played: Field, report: Mapping[str, Any]) -> str:
    """How many votes this ranking has and still needs, without a name."""
    count = report["votes"]
    head = f"{MODES[played.mode]}: {count} {'vote' if count == 1 else 'votes'} so far"
    open_pairs = [pair for pair in report["pairs"] if not pair["told_apart"]]
    if not report["pairs"] or not count:
        return f"{head}."
    if not open_pairs:
        return f"{head}; all models can be told apart."
    needed = [pair["votes_needed"] for pair in open_pairs if pair["votes_needed"]]
    more = f"; about {min(needed)} more tell the next two apart" if needed else ""
    return f"{head}{more}."
