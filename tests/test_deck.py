"""The deck of recorded replies: the shipped one, the paper's, and how a deck is made."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from empo.data.deck import (
    DECK,
    SIZE,
    deck_json,
    deck_situations,
    paper_deck,
    read_deck,
)
from empo.data.emotions import EMOTIONS
from empo.deck import make_deck, write_deck
from empo.errors import DataError, EmpoError
from empo.in_step import CHUNK, TICK, TICKS, frames, in_step
from empo.models.echo import EchoEngine
from empo.models.fingerprint import base_revision, short_hashes
from empo.models.stacks import load_stack
from empo.types import Sampling
from tests.arena_kit import Turnable


def test_the_shipped_deck_is_of_these_models_and_situations() -> None:
    deck, stack = read_deck(), load_stack("nano")
    assert len(deck.cards) == len(deck_situations()) == SIZE
    assert [card.turns[-1].text for card in deck.cards] == [s.text for s in deck_situations()]
    assert {card.emotion for card in deck.cards} == set(EMOTIONS)
    assert all(len(set(card.replies.values())) == len(deck.models) for card in deck.cards)
    # Made by the weights that are shipped: else `python -m empo deck` has to be run again.
    assert deck.base == base_revision(stack) and deck.revisions == short_hashes(stack)
    assert DECK.stat().st_size < 300_000


def test_a_deck_is_made_anew_alike_and_reads_back(tmp_path: Path) -> None:
    engine = EchoEngine(load_stack("nano"))
    made = [make_deck(engine, deck_situations()[:3], Sampling(seed=4)) for _ in range(2)]
    assert made[0] == made[1] and made[0].cards[0].replies["dpo"].startswith("dpo heard:")
    path = tmp_path / "deck.json"
    write_deck(made[0], path)
    assert read_deck(path) == made[0] and [p.name for p in tmp_path.iterdir()] == ["deck.json"]


def test_replies_that_never_differ_are_said() -> None:
    stack = load_stack("nano")
    same = replace(stack, models=(stack.models[0], replace(stack.models[0], label="Again")))
    with pytest.raises(EmpoError, match="replies that differ"):
        make_deck(EchoEngine(same), deck_situations()[:1], Sampling())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.pop("models"), "models: "),
        (lambda d: d["cards"][0]["replies"].pop("sft"), "card joyful-1 lacks"),
        (lambda d: d["cards"].append(d["cards"][0]), "one id for each card"),
        (lambda d: d["cards"][1].update(turns=[]), "lacks its situation"),
    ],
)
def test_a_damaged_deck_is_one_sentence(
    tmp_path: Path, change: Callable[[dict], object], words: str
) -> None:
    data = json.loads(deck_json(read_deck()))
    change(data)
    path = tmp_path / "deck.json"
    path.write_text(json.dumps(data))
    with pytest.raises(DataError, match=words):
        read_deck(path)
    path.write_text("[" * 100_000)
    with pytest.raises(DataError, match="no deck of replies"):
        read_deck(path)


def test_the_paper_s_deck_sets_recorded_replies_against_human_ones(
    data_file: Callable[[str], Path],
) -> None:
    folder = data_file("recorded_replies_dpo_d270.csv.gz").parent
    deck = paper_deck(folder)
    assert deck is not None and len(deck.cards) == SIZE
    assert {"human", "dpo"} <= {spec.name for spec in deck.models}
    assert all(card.turns[-1].role == "user" for card in deck.cards)
    assert deck == paper_deck.__wrapped__(folder)


def test_no_replies_no_paper_s_deck(tmp_path: Path) -> None:
    assert paper_deck(tmp_path) is None


def test_frames_are_equal_chunks_and_end_together() -> None:
    found = list(frames("x" * 20, "y" * 5))
    assert [(len(a), len(b)) for a, b in found] == [(9, 5), (18, 5), (20, 5)]
    assert CHUNK == 9
    assert len(list(frames("x" * 5000, "y"))) == TICKS


def test_frames_come_at_even_instants_however_slow_the_reader_is() -> None:
    clock = Turnable()
    seen = []
    for _ in in_step("x" * 40, "y" * 40, clock, clock.sleep):
        seen.append(clock.now)
        clock.now += 0.03
    assert seen == pytest.approx([n * TICK for n in range(5)])
