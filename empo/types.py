"""The central values. Frozen, plain, without behaviour beyond their own shape; no torch, no gradio.

`None` in a score means *not measured*, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Role = Literal["system", "user", "assistant"]
Stage = Literal["base", "sft", "dpo", "kto", "blend", "human"]
Quantisation = Literal["nf4", "int8", "none"]
StoppedBy = Literal["end", "length", "stop", "cancelled"]
QUANTISATIONS: tuple[Quantisation, ...] = ("nf4", "int8", "none")


@dataclass(frozen=True, slots=True)
class Turn:
    """One utterance."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A dialogue of EmpatheticDialogues: the first speaker (user) tells, the listener answers."""

    id: str
    turns: tuple[Turn, ...]
    emotion: str | None = None
    situation: str | None = None


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One voice of a stack: a base and the weights of the LoRA adapters laid over it.

    `adapters` maps the adapter's name in the stack to its weight: empty for the base,
    `{"sft": 1.0}` for an adapter alone, `{"sft": 0.5, "dpo": 0.5}` for a blend.
    """

    name: str
    label: str
    plain: str
    stage: Stage
    adapters: Mapping[str, float] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn. `temperature == 0` is argmax with no penalty at all.

    `seed` starts the row's own generator: the row's text depends on nothing else.
    """

    temperature: float = 0.7
    top_p: float = 0.9
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.1
    max_new_tokens: int = 60
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """A finished reply; `tokens` counts the generated ones without the end marker, times in s."""

    model: str
    text: str
    tokens: int
    seconds: float
    first_token_seconds: float
    stopped_by: StoppedBy
    dropped_turns: int = 0


@dataclass(frozen=True, slots=True)
class Vad:
    """NRC VAD means over the known words of a text, each in 0..1 (0.5 is neutral).

    `unknown` is the share of the text's words, in 0..1, that the lexicon does not have.
    """

    valence: float
    arousal: float
    dominance: float
    unknown: float


@dataclass(frozen=True, slots=True)
class Valence:
    """Valence of a text. `vader`: VADER compound in -1..1; `vad`: from the NRC VAD lexicon."""

    vader: float | None = None
    vad: Vad | None = None


Mechanism = Literal["emotional_reaction", "interpretation", "exploration"]
MECHANISMS: tuple[Mechanism, ...] = ("emotional_reaction", "interpretation", "exploration")


@dataclass(frozen=True, slots=True)
class MechanismScore:
    """One EPITOME mechanism of a reply (Sharma et al. 2020).

    `level` 0 (none), 1 (weak), 2 (strong) is the likeliest of `probabilities`; `rationale` holds
    (start, end) character spans of the reply that speak for it, in order.
    """

    level: int
    probabilities: tuple[float, float, float]
    rationale: tuple[tuple[int, int], ...] = ()

    @property
    def expected(self) -> float:
        """The mean level under `probabilities`, 0..2: what gauges and bars show."""
        return self.probabilities[1] + 2 * self.probabilities[2]


@dataclass(frozen=True, slots=True)
class EmotionGuess:
    """One of the 32 ED emotions and how probable it is, 0..1."""

    name: str
    probability: float


@dataclass(frozen=True, slots=True)
class Scores:
    """Everything measured about one reply; None is *not measured*.

    `valence` is the reply's; `emotion` is the speaker's (the context's), likeliest first.
    `out_of_scope`: the reply does not look English, so nothing about it was measured.
    """

    emotional_reaction: MechanismScore | None = None
    interpretation: MechanismScore | None = None
    exploration: MechanismScore | None = None
    valence: Valence | None = None
    emotion: tuple[EmotionGuess, ...] = ()
    out_of_scope: bool = False

    def mechanism(self, name: Mechanism) -> MechanismScore | None:
        return getattr(self, name)


@dataclass(frozen=True, slots=True)
class PreferencePair:
    """A prompt with a chosen and a rejected reply, and where the rejected one came from.

    `emotion` and `opposite` are None where nobody said them (an uploaded file, say).
    """

    prompt: tuple[Turn, ...]
    chosen: str
    rejected: str
    emotion: str | None
    opposite: str | None
    origin: str
    dialogue_id: str
    rejected_id: str


Outcome = Literal["a", "b", "tie", "both_bad"]
RATED = ("appropriate", "emotion", "natural", "go_on")


@dataclass(frozen=True, slots=True)
class Seat:
    """Who sits on one side of a battle: a model's name and a short hash of its adapter."""

    model: str
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Pool:
    """Under what a battle was fought; only votes of equal pools may be counted together.

    `live`: the replies were made for the voter, else they are recorded ones. `base` is the
    revision of the base model. None where it is not known (of recorded replies, say). The
    sampling's seed differs from battle to battle and is no part of the pool.
    """

    stack: str
    live: bool
    prompt: str
    sampling: Sampling | None = None
    quantisation: Quantisation | None = None
    base: str = ""


@dataclass(frozen=True, slots=True)
class Battle:
    """Two models before one voter; `seats` are the left (a) and the right (b).

    `item` names what was judged where several voters judge the same recorded replies.
    """

    id: str
    pool: Pool
    seats: tuple[Seat, Seat]
    item: str | None = None
    emotion: str | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """One message of a battle and what the left and the right model answered."""

    message: str
    a: str
    b: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """Everything that was said in a battle; `context` is what both were given before."""

    rounds: tuple[Round, ...]
    context: tuple[Turn, ...] = ()

    def replies(self, seat: Literal["a", "b"]) -> tuple[str, ...]:
        return tuple(getattr(turn, seat) for turn in self.rounds)


@dataclass(frozen=True, slots=True)
class Rating:
    """The paper's four questions about one reply, 0..100 each, and its tick; None: not answered.

    Does it suit the situation; does it address the emotion; does it sound natural; would one go on
    talking; is it understandable and consistent.
    """

    appropriate: int | None = None
    emotion: int | None = None
    natural: int | None = None
    go_on: int | None = None
    consistent: bool | None = None


@dataclass(frozen=True, slots=True)
class Ballot:
    """What a voter sends: a choice, and if they like ratings of both replies and a reason."""

    outcome: Outcome
    rating_a: Rating | None = None
    rating_b: Rating | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Others:
    """How `voters` people (this one among them) judged the same battle, in this one's seats."""

    voters: int
    counts: Mapping[Outcome, int]


@dataclass(frozen=True, slots=True)
class Reveal:
    """What a voter learns from voting. `others` is None before five voters have judged.

    `flags` say why the vote does not count in the ranking (`identity`), or why its words go
    nowhere (`danger`).
    """

    battle: Battle
    ballot: Ballot
    flags: tuple[str, ...] = ()
    others: Others | None = None
