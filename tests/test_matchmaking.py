"""Who meets whom, and how the deck goes round."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from empo.arena.matchmaking import EVEN, draw_pair, gains, pair_of, seated
from empo.arena.rotation import QUORUM, Item, next_item, votes_by_pair

MODELS = ("sft", "base", "dpo")
CARDS = tuple(f"card-{n}" for n in range(60))


def test_without_votes_all_pairs_are_equal() -> None:
    assert gains(MODELS, {}) == pytest.approx(
        {("base", "dpo"): 1 / 3, ("base", "sft"): 1 / 3, ("dpo", "sft"): 1 / 3}
    )


def test_gains_by_hand_for_two_models() -> None:
    # L = I/2 + n (e eᵀ) has e as an eigenvector with 1/2 + 2n; with one pair its share is all.
    assert gains(("a", "b"), {("a", "b"): 7}) == {("a", "b"): 1.0}


def test_a_gain_is_what_the_trace_really_loses() -> None:
    votes = {("base", "dpo"): 3, ("base", "sft"): 1}
    names = sorted(MODELS)

    def trace(counts: dict[tuple[str, str], int]) -> float:
        matrix = 0.5 * np.eye(3)
        for (one, other), count in counts.items():
            i, j = names.index(one), names.index(other)
            matrix[[i, j], [i, j]] += count
            matrix[[i, j], [j, i]] -= count
        return float(np.trace(np.linalg.inv(matrix)))

    pairs = [("base", "dpo"), ("base", "sft"), ("dpo", "sft")]
    lost = {p: trace(votes) - trace({**votes, p: votes.get(p, 0) + 1}) for p in pairs}
    shares = {pair: value / sum(lost.values()) for pair, value in lost.items()}
    assert gains(MODELS, votes) == pytest.approx(shares)


def test_the_model_that_is_known_least_is_dealt_most_and_none_dries_up() -> None:
    rng = random.Random(0)
    votes = {("base", "sft"): 50}
    drawn = Counter(draw_pair(MODELS, votes, rng) for _ in range(3000))
    assert drawn["base", "sft"] < 0.15 * 3000
    assert drawn["base", "sft"] > 0.5 * EVEN / 3 * 3000
    assert min(drawn["base", "dpo"], drawn["dpo", "sft"]) > 0.35 * 3000


def test_drawing_by_need_evens_out_and_votes_on_strangers_are_left_out() -> None:
    rng = random.Random(1)
    votes = Counter({("base", "sft"): 40, ("gone", "sft"): 900})
    for _ in range(200):
        votes[draw_pair(MODELS, votes, rng)] += 1
    assert abs(votes["base", "dpo"] - votes["dpo", "sft"]) < 40
    assert votes["base", "sft"] < 100  # 80 would be even


def test_seats_are_the_toss_of_a_coin() -> None:
    rng = random.Random(2)
    first = Counter(seated(("base", "dpo"), rng)[0] for _ in range(2000))
    assert 900 < first["base"] < 1100
    assert pair_of("sft", "base") == pair_of("base", "sft") == ("base", "sft")


def test_a_battle_is_shown_until_five_have_judged_it() -> None:
    """Twenty votes by ten voters: the quorum is reached three times or four, not never."""
    rng = random.Random(3)
    judged: Counter[Item] = Counter()
    seen: dict[int, set[Item]] = {n: set() for n in range(10)}
    for vote in range(20):
        item = next_item(CARDS, MODELS, judged, seen[vote % 10], rng)
        assert item is not None and item not in seen[vote % 10]
        judged[item] += 1
        seen[vote % 10].add(item)
    assert sorted(judged.values()) == [5, 5, 5, 5]


def test_one_voter_meets_every_situation_once_then_again_with_other_pairs() -> None:
    rng = random.Random(4)
    judged: Counter[Item] = Counter()
    seen: set[Item] = set()
    for _ in range(180):
        item = next_item(CARDS, MODELS, judged, seen, rng)
        assert item is not None
        if len(seen) < 60:
            assert item[0] not in {card for card, _ in seen}
        judged[item] += 1
        seen.add(item)
    assert len(seen) == 180
    assert next_item(CARDS, MODELS, judged, seen, rng) is None


def test_after_the_quorum_everywhere_a_next_round_begins() -> None:
    rng = random.Random(5)
    cards, pair = ("one", "two"), ("base", "sft")
    full = {(card, pair): QUORUM for card in cards}
    assert next_item(cards, pair, full, set(), rng) in full
    begun = {**full, ("two", pair): QUORUM + 1}
    assert all(next_item(cards, pair, begun, set(), rng) == ("two", pair) for _ in range(9))
    assert next_item(cards, pair, {**full, ("one", pair): 2}, set(), rng) == ("one", pair)
    assert votes_by_pair(begun) == {pair: 2 * QUORUM + 1}
