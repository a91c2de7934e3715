"""The decoding loop: rows that do not touch each other, passes counted, text that streams whole."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch

from empo.models.decoding import Voice
from empo.models.engine import Row
from empo.models.local import LocalEngine
from empo.types import Reply, Sampling, Turn
from tests.tiny_models import (
    NANO,
    Tokens,
    answer,
    engine_of,
    gather,
    row,
    save_adapter,
    save_base,
    stack_of,
)

TEXTS = ("Hi.", "My dog died last week and I feel lost.", "I won!", "Why is it so?", "Yes, but")
WARM = {"temperature": 0.8, "top_p": 0.95, "repetition_penalty": 1.1}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    folder = tmp_path_factory.mktemp("decoding")
    base = save_base(folder / "base")
    a = save_adapter(base, folder / "a", 1)
    b = save_adapter(base, folder / "b", 2, r=4, target_modules=["q_proj", "down_proj"])
    made = engine_of(stack_of(base, {"a": a, "b": b}))
    yield made
    made.close()


def five(**options: object) -> list[Row]:
    """Five rows that differ in everything: text, model, seed, length."""
    blends: list[dict[str, float]] = [{}, {"a": 1.0}, {"b": 1.0}, {"a": 0.5, "b": 0.5}, {"a": 1.5}]
    return [
        row(text, blend, seed=seed, max_new_tokens=6 + 3 * seed, **options)
        for seed, (text, blend) in enumerate(zip(TEXTS, blends, strict=True))
    ]


def words(replies: Sequence[Reply]) -> list[tuple[str, int, str]]:
    return [(reply.text, reply.tokens, reply.stopped_by) for reply in replies]


@pytest.mark.parametrize("options", [{}, WARM], ids=["greedy", "sampled"])
def test_a_row_alone_is_the_row_among_five(engine: LocalEngine, options: dict[str, float]) -> None:
    rows = five(**options)
    together = words(answer(engine, rows))
    assert together == words([answer(engine, [one])[0] for one in rows])
    assert words(answer(engine, rows[::-1])) == together[::-1]
    assert len({text for text, _, _ in together}) == 5


def test_seeds_differ_and_repeat(engine: LocalEngine) -> None:
    rows = [row(TEXTS[1], {"a": 1.0}, seed=seed, **WARM) for seed in (1, 2, 3, 1)]
    texts = [reply.text for reply in answer(engine, rows)]
    assert len(set(texts)) == 3 and texts[0] == texts[3]


class Passes:
    """The number of rows in every forward pass of the engine's model."""

    def __init__(self, engine: LocalEngine) -> None:
        self.sizes: list[tuple[int, int]] = []
        self.hook = engine.decoder.model.register_forward_pre_hook(self._note, with_kwargs=True)

    def _note(self, module: object, args: object, kwargs: dict[str, torch.Tensor]) -> None:
        self.sizes.append(tuple(kwargs["input_ids"].shape))


@pytest.fixture
def passes(engine: LocalEngine) -> Iterator[Passes]:
    counted = Passes(engine)
    yield counted
    counted.hook.remove()


def test_one_pass_per_token_and_ended_rows_leave(engine: LocalEngine, passes: Passes) -> None:
    rows = [row(text, max_new_tokens=n) for text, n in zip(TEXTS, (2, 5, 5, 3, 6), strict=True)]
    replies = answer(engine, rows)
    longest = max(len(engine.decoder.encoder.encode(one.messages)) for one in rows)
    assert passes.sizes == [(5, longest), (5, 1), (4, 1), (3, 1), (3, 1), (1, 1)]
    assert [(reply.tokens, reply.stopped_by) for reply in replies] == [
        (n, "length") for n in (2, 5, 5, 3, 6)
    ]


@pytest.mark.parametrize("texts", [TEXTS[:1] * 2, TEXTS[:2]], ids=["equal", "unequal"])
def test_rows_that_end_together_end_well(engine: LocalEngine, texts: tuple[str, ...]) -> None:
    replies = answer(engine, [row(text, max_new_tokens=4) for text in texts])
    assert [reply.tokens for reply in replies] == [4, 4]


def test_the_end_marker_ends_and_is_not_counted(
    engine: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a greedy row says third becomes an end marker."""
    rows = [row(TEXTS[0]), row(TEXTS[1], {"a": 1.0})]
    first, second = Tokens(monkeypatch).of(engine, rows)
    assert first[2] not in [*first[:2], *second]
    monkeypatch.setattr(engine.decoder, "ends", frozenset({first[2]}))
    replies = answer(engine, rows)
    assert [(reply.tokens, reply.stopped_by) for reply in replies] == [(2, "end"), (12, "length")]


def test_replies_say_when_and_what(engine: LocalEngine) -> None:
    short, long = answer(engine, [row(TEXTS[0], max_new_tokens=2), row(TEXTS[1])])
    assert 0 < short.first_token_seconds == long.first_token_seconds <= short.seconds
    assert short.seconds < long.seconds
    assert short.model == "voice" and short.dropped_turns == 0


def test_dropped_turns_are_reported(tmp_path: Path) -> None:
    engine = engine_of(stack_of(save_base(tmp_path), {}, context=64))
    turns = [Turn("user" if i % 2 == 0 else "assistant", f"this is turn {i}") for i in range(21)]
    long = Row("voice", tuple(turns), {}, Sampling(temperature=0, max_new_tokens=8))
    reply, other = answer(engine, [long, row("Hi", max_new_tokens=8)])
    assert reply.dropped_turns > 0 and reply.dropped_turns % 2 == 0 and other.dropped_turns == 0
    shorter = Row("voice", tuple(turns[reply.dropped_turns :]), {}, long.sampling)
    assert answer(engine, [shorter])[0].text == reply.text
    engine.close()


# One voice fed with given tokens: what is shown, and when.


def voice(engine: LocalEngine, stop: Sequence[str] = (), tokens: int = 1000) -> Voice:
    return Voice(
        0, row("Hi", stop=tuple(stop), max_new_tokens=min(tokens, 100)), engine.decoder.encoder
    )


def feed(engine: LocalEngine, text: str, stop: Sequence[str] = ()) -> tuple[list[str], Voice]:
    """`text` one token of nano's at a time, then the end marker unless it stopped before."""
    fed = voice(engine, stop)
    shown = []
    for token in engine.decoder.encoder.tokenizer(text, add_special_tokens=False)["input_ids"]:
        shown.append(fed.accept(token, engine.decoder.ends))
        if fed.stopped_by:
            return shown, fed
    shown.append(fed.accept(2, engine.decoder.ends))
    assert fed.stopped_by == "end"
    return shown, fed


@pytest.mark.parametrize(
    "text",
    [
        "I am so sorry to hear that. How are you?",
        "Aw 🥺❤️ that hurts… 👩‍👩‍👧 family",
        "Мне очень жаль. 真的很遗憾。 उफ़ ¡ánimo!",
        "two  spaces,\n\nlines\tand tabs",
    ],
)
def test_text_streams_whole_characters(engine: LocalEngine, text: str) -> None:
    shown, fed = feed(engine, text)
    assert "".join(shown) == fed.text == text
    assert not any("\ufffd" in piece for piece in shown)
    assert len([piece for piece in shown if piece]) > 3, "it streams"


def test_a_reply_cut_within_a_character_does_not_show_half_of_it(engine: LocalEngine) -> None:
    ids = engine.decoder.encoder.tokenizer("ok 🥺", add_special_tokens=False)["input_ids"]
    assert len(ids) > 3, "the character takes several tokens"
    cut = voice(engine, tokens=len(ids) - 1)
    shown = [cut.accept(token, engine.decoder.ends) for token in ids[:-1]]
    assert "".join(shown) == cut.text == "ok" and cut.stopped_by == "length"


def test_blank_ends_are_not_shown(engine: LocalEngine) -> None:
    shown, fed = feed(engine, "\n\n Hello there.  \n\n")
    assert "".join(shown) == fed.text == "Hello there."


@pytest.mark.parametrize("stop", ["sorry", "sorr sorry to", " to h", "\n\nUser:", "🥺"])
def test_a_stop_string_is_never_shown_not_even_in_part(engine: LocalEngine, stop: str) -> None:
    """The strings are spread over several tokens, begin within words, end in others."""
    text = "I am so sorr sorry to hear 🥺 that\n\nUse\n\nUser: hm"
    shown, fed = feed(engine, text, [stop])
    assert fed.stopped_by == "stop"
    assert fed.text == text[: text.index(stop)].rstrip() == "".join(shown)
    so_far = ""
    for piece in shown:
        so_far += piece
        assert fed.text.startswith(so_far), "nothing is taken back"


def test_what_only_looked_like_a_stop_string_comes_after_all(engine: LocalEngine) -> None:
    shown, fed = feed(engine, "I was lost, I was low", ["I was lonely", "lowland"])
    assert "".join(shown) == fed.text == "I was lost, I was low"


def test_of_several_stop_strings_the_first_in_the_text_counts(engine: LocalEngine) -> None:
    """Both lie in one piece of text: that which comes first in the text stops, not in the list."""
    pieces = engine.decoder.encoder.tokenizer.tokenize("well, lost")
    assert "lost" in pieces[-1], "or the list's order would not matter"
    assert feed(engine, "well, lost", ["t", "os"])[1].text == "well, l"


def test_length_counts_tokens(engine: LocalEngine) -> None:
    ids = engine.decoder.encoder.tokenizer("one two three four", add_special_tokens=False)
    fed = voice(engine, tokens=2)
    shown = [fed.accept(token, engine.decoder.ends) for token in ids["input_ids"][:2]]
    assert (fed.tokens, fed.stopped_by, "".join(shown)) == (2, "length", fed.text)


def test_bytes_that_are_no_text_do_not_break_the_stream(engine: LocalEngine) -> None:
    """A model may put any bytes in any order: the row goes on, and ends."""
    vocabulary = json.loads((NANO / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
    single = [id_ for piece, id_ in vocabulary.items() if len(piece) == 1]
    order = torch.randperm(len(single) * 8, generator=torch.Generator().manual_seed(0)).tolist()
    fed = voice(engine)
    fed.row = row("Hi", max_new_tokens=1024)
    shown = [fed.accept(single[i % len(single)], engine.decoder.ends) for i in order[:1000]]
    assert "".join(shown) == fed.text != ""


def test_random_replies_add_up(engine: LocalEngine) -> None:
    """A random model draws half characters all the time; `gather` compares the sums."""
    rows = [row(TEXTS[i % 5], {"a": 1.0}, seed=i, temperature=1.5) for i in range(8)]
    replies = gather(engine.stream(rows), len(rows))
    assert all(reply.text == reply.text.strip() for reply in replies)
