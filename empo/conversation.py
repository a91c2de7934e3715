"""A conversation with several voices, as plain values: say, regenerate, undo, edit, branch, adopt.

Exchanges form a tree: an edited or regenerated message is a sibling of the one it replaces, so
nothing that was read is lost. `leaf` is the exchange one stands at; the path from the root to it is
what is on the screen. Every operation returns a new value; nothing here knows of a page or a model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from empo.data.emotions import EMOTIONS
from empo.errors import DataError, UsageError
from empo.prompts import PROMPT_NAMES
from empo.types import MECHANISMS, ModelSpec, Reply, Sampling, Scores, Stage, Turn, Valence

MAX_EXCHANGES = 200
MAX_COLUMNS = 4
MAX_CHARACTERS = 30_000


@dataclass(frozen=True, slots=True)
class Answer:
    """One voice's reply in an exchange. `reply` is None while it is still being written.

    `adapter` is the short hash of the adapter that answered ("" for the base); `scores` None:
    not measured.
    """

    model: str
    label: str
    plain: str
    stage: Stage
    text: str = ""
    reply: Reply | None = None
    adapter: str = ""
    valence: Valence = field(default_factory=Valence)
    scores: Scores | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A message and what each column answered to it.

    `follows`: the column of the parent whose history all columns took over, where one was adopted.
    """

    id: int
    parent: int | None
    message: str
    answers: tuple[Answer, ...]
    sampling: Sampling = field(default_factory=Sampling)
    prompt: str = "none"
    follows: int | None = None
    valence: Valence = field(default_factory=Valence)


@dataclass(frozen=True, slots=True)
class Conversation:
    """The tree of exchanges, where one stands in it, and the column adopted for what comes next."""

    exchanges: tuple[Exchange, ...] = ()
    leaf: int | None = None
    follow: int | None = None

    def exchange(self, number: int) -> Exchange:
        """The exchange with that id.

        Raises:
            UsageError: there is none.
        """
        for exchange in self.exchanges:
            if exchange.id == number:
                return exchange
        raise UsageError("That message is no longer part of this conversation.")

    def path(self) -> tuple[Exchange, ...]:
        """The exchanges from the first to the one we stand at."""
        found: list[Exchange] = []
        number = self.leaf
        while number is not None:
            found.append(self.exchange(number))
            number = found[-1].parent
        return tuple(reversed(found))

    def versions(self, number: int) -> tuple[int, ...]:
        """Ids of the exchanges that stand at the same place as `number`, in the order made."""
        parent = self.exchange(number).parent
        return tuple(e.id for e in self.exchanges if e.parent == parent)


def history(conversation: Conversation, column: int) -> tuple[Turn, ...]:
    """What `column` has seen so far, ready for the next message.

    An adopted column's history stands in for everybody's up to where it was adopted; a column that
    joined later knows the first column's replies. An empty reply is left out together with its
    message, so that roles alternate.
    """
    turns: list[Turn] = []
    follow = conversation.follow
    for exchange in reversed(conversation.path()):
        column = column if follow is None else follow
        follow = exchange.follows
        text = exchange.answers[column if column < len(exchange.answers) else 0].text.strip()
        if text:
            turns += [Turn("assistant", text), Turn("user", exchange.message)]
    return tuple(reversed(turns))


def say(
    conversation: Conversation,
    message: str,
    specs: Sequence[ModelSpec],
    sampling: Sampling,
    prompt: str,
    hashes: Sequence[str] = (),
) -> tuple[Conversation, tuple[tuple[Turn, ...], ...]]:
    """Add `message` with empty answers, and give what each column is to be asked.

    Raises:
        UsageError: too many columns, or the conversation is too long to go on.
    """
    if not 1 <= len(specs) <= MAX_COLUMNS:
        raise UsageError(f"Choose between one and {MAX_COLUMNS} models.")
    if len(conversation.exchanges) >= MAX_EXCHANGES:
        raise UsageError("This conversation is full; start a new one.")
    asked = tuple(
        (*history(conversation, column), Turn("user", message)) for column in range(len(specs))
    )
    hashes = hashes or [""] * len(specs)
    answers = tuple(
        Answer(spec.name, spec.label, spec.plain, spec.stage, adapter=short)
        for spec, short in zip(specs, hashes, strict=True)
    )
    number = max((e.id for e in conversation.exchanges), default=0) + 1
    exchange = Exchange(
        number, conversation.leaf, message, answers, sampling, prompt, conversation.follow
    )
    grown = (*conversation.exchanges, exchange)
    return replace(conversation, exchanges=grown, leaf=number, follow=None), asked


def with_exchange(conversation: Conversation, exchange: Exchange) -> Conversation:
    """The conversation with `exchange` in the place of the one with its id."""
    changed = tuple(exchange if e.id == exchange.id else e for e in conversation.exchanges)
    return replace(conversation, exchanges=changed)


def before(conversation: Conversation, number: int) -> Conversation:
    """Standing just before exchange `number`, ready to say something else there."""
    exchange = conversation.exchange(number)
    return replace(conversation, leaf=exchange.parent, follow=exchange.follows)


def undo(conversation: Conversation) -> tuple[Conversation, str]:
    """Take away the exchange one stands at, and what came after it; its message comes back."""
    if conversation.leaf is None:
        return conversation, ""
    last = conversation.exchange(conversation.leaf)
    gone: set[int | None] = {last.id}
    for exchange in conversation.exchanges:  # a parent always stands before its children
        if exchange.parent in gone:
            gone.add(exchange.id)
    kept = tuple(e for e in conversation.exchanges if e.id not in gone)
    return replace(before(conversation, last.id), exchanges=kept), last.message


def switch(conversation: Conversation, number: int) -> Conversation:
    """Stand on the branch of exchange `number`, at its newest end."""
    here = conversation.exchange(number).id
    while children := [e.id for e in conversation.exchanges if e.parent == here]:
        here = children[-1]
    return replace(conversation, leaf=here, follow=None)


def continue_from(conversation: Conversation, number: int, column: int) -> Conversation:
    """Stand at exchange `number`; from here all columns go on with `column`'s history.

    Raises:
        UsageError: that exchange has no such reply.
    """
    exchange = conversation.exchange(number)
    if not 0 <= column < len(exchange.answers) or not exchange.answers[column].text.strip():
        raise UsageError("There is no reply to continue from.")
    return replace(conversation, leaf=number, follow=column)


def settled(conversation: Conversation) -> Conversation:
    """With every unfinished answer marked as cancelled: what is left after a broken connection."""
    done = conversation
    for exchange in conversation.exchanges:
        answers = tuple(_settle(answer) for answer in exchange.answers)
        if answers != exchange.answers:
            done = with_exchange(done, replace(exchange, answers=answers))
    return done


def _settle(answer: Answer) -> Answer:
    if answer.reply is not None:
        return answer
    tokens = len(answer.text.split())
    return replace(answer, reply=Reply(answer.model, answer.text, tokens, 0.0, 0.0, "cancelled"))


@cache
def _adapter() -> TypeAdapter[Conversation]:
    return TypeAdapter(Conversation)


def to_data(conversation: Conversation) -> dict[str, Any]:
    """Plain values for JSON; `from_data` reads them back."""
    return _adapter().dump_python(conversation, mode="json")


def from_data(data: object) -> Conversation:
    """A conversation from plain values that may come from anywhere.

    Raises:
        DataError: it is not a conversation, or is larger than one may be.
    """
    try:
        conversation = _adapter().validate_python(data)
    except (ValidationError, RecursionError) as error:
        raise DataError("This is not a saved conversation; start a new one.") from error
    known: dict[int, Exchange] = {}
    for exchange in conversation.exchanges:
        _check(exchange, known)
        known[exchange.id] = exchange
    leaf = conversation.leaf
    if len(known) > MAX_EXCHANGES or (leaf is not None and leaf not in known):
        raise DataError(_DAMAGED)
    if not _has_column(known.get(leaf or 0), conversation.follow):
        raise DataError(_DAMAGED)
    return conversation


_DAMAGED = "This saved conversation is damaged; start a new one."


def _check(exchange: Exchange, known: Mapping[int, Exchange]) -> None:
    texts = [exchange.message, *(a.text for a in exchange.answers)]
    sound = (
        exchange.id > 0
        and exchange.id not in known
        and (exchange.parent is None or exchange.parent in known)
        and _has_column(known.get(exchange.parent or 0), exchange.follows)
        and 1 <= len(exchange.answers) <= MAX_COLUMNS
        and exchange.prompt in PROMPT_NAMES
        and all(len(text) <= MAX_CHARACTERS for text in texts)
        and all(_sound(answer) for answer in exchange.answers)
    )
    if not sound:
        raise DataError(_DAMAGED)


def _sound(answer: Answer) -> bool:
    """Whether the scores could have been measured on this very text."""
    scores = answer.scores or Scores()
    found = [score for name in MECHANISMS if (score := scores.mechanism(name))]
    shares = [share for score in found for share in score.probabilities]
    shares += [guess.probability for guess in scores.emotion]
    spans = [span for score in found for span in score.rationale]
    return (
        all(0 <= share <= 1 for share in shares)
        and all(0 <= start < end <= len(answer.text) for start, end in spans)
        and all(guess.name in EMOTIONS for guess in scores.emotion)
    )


def _has_column(exchange: Exchange | None, column: int | None) -> bool:
    return column is None or (exchange is not None and 0 <= column < len(exchange.answers))
