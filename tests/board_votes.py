"""Made-up votes for the leaderboard: known strengths, people with tastes, and the traps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from empo.arena.votes import Votes, collect
from empo.data.emotions import EMOTIONS

NAMES = ("base", "sft", "dpo")
STRENGTH = np.array([-0.45, 0.05, 0.4])
WORDS = np.array([12, 9, 15])


def rows(count: int, seed: int = 0, pool: str = "nano, live, 3f2a90c1d4e5") -> list[dict[str, Any]]:
    """`count` votes: a left seat and length that help a little, warmth that helps, ties, both bad.

    A sixth of the battles is on an item that others judge, too.
    """
    rng = np.random.default_rng(seed)
    voters = max(2, count // 12)
    taste = rng.normal(0, 0.3, (voters, 3))
    emotions = list(EMOTIONS)
    found = []
    for i in range(count):
        a, b = (int(x) for x in rng.permutation(3)[:2])
        voter = int(rng.integers(voters))
        long = (WORDS[[a, b]] * rng.uniform(0.6, 1.5, 2)).astype(int)
        warm = np.clip(rng.normal(0.5 + 0.4 * STRENGTH[[a, b]], 0.3), 0, 2)
        lead = (STRENGTH + taste[voter])[[a, b]] @ [1, -1]
        lead += 0.1 + 0.4 * (long[0] - long[1]) / long.sum() + 0.4 * (warm[0] - warm[1])
        weights = np.array([np.exp(lead / 2), np.exp(-lead / 2), 0.25, 0.12])
        outcome = rng.choice(["a", "b", "tie", "both_bad"], p=weights / weights.sum())
        found.append(
            {
                "battle": f"{pool}{seed}-{i}",
                "model_a": NAMES[a],
                "model_b": NAMES[b],
                "outcome": str(outcome),
                "voter": f"anon:{voter}",
                "pool": pool,
                "item": f"item {rng.integers(20)}" if i % 6 == 0 else None,
                "emotion": emotions[rng.integers(len(emotions))],
                "length_a": int(long[0]),
                "length_b": int(long[1]),
                "scores_a": {"emotional_reaction": float(warm[0])},
                "scores_b": {"emotional_reaction": float(warm[1])},
            }
        )
    return found


def as_votes(found: Sequence[dict[str, Any]]) -> Votes:
    return collect(enumerate(found, 1))


def plain(votes: Sequence[tuple[str, str, str, str]]) -> list[dict[str, Any]]:
    """Rows (model_a, model_b, outcome, voter), with nothing else."""
    keys = ("model_a", "model_b", "outcome", "voter")
    return [
        {"battle": str(i), **dict(zip(keys, vote, strict=True))} for i, vote in enumerate(votes)
    ]


def traps() -> dict[str, list[dict[str, Any]]]:
    """Small sets of votes, each with one thing wrong with it."""
    one = [(NAMES[i % 3], NAMES[(i + 1) % 3], "aab"[i % 3], "me") for i in range(24)]
    unbeaten = [("dpo", ("base", "sft")[i % 2], "a", f"v{i % 8}") for i in range(16)]
    unbeaten += [("base", "sft", "aabb"[i % 4], f"v{i % 8}") for i in range(16)]
    apart = [("base", "sft", "ab"[i % 3 == 0], f"v{i % 6}") for i in range(18)]
    apart += [("dpo", "kto", "ab"[i % 4 == 0], f"v{i % 6}") for i in range(18)]
    ties = [(NAMES[i % 3], NAMES[(i + 1) % 3], "tie", f"v{i % 7}") for i in range(21)]
    bad = [(NAMES[i % 3], NAMES[(i + 1) % 3], "both_bad", f"v{i % 7}") for i in range(21)]
    pushed = rows(300, seed=4)
    pushed += [
        {**row, "battle": f"p{i}", "outcome": "a", "voter": "anon:clicker"}
        for i, row in enumerate(rows(30, seed=5))
    ]
    many = [
        (f"model {i % 9}", f"model {(i + 1 + i // 9) % 9}", "aba"[i % 3], f"v{i % 31}")
        for i in range(400)
    ]
    many = [row for row in many if row[0] != row[1]]
    pools = [*rows(60, seed=6), *rows(25, seed=7, pool="nano, recorded, 77aa00bb11cc")]
    return {
        "one voter": plain(one),
        "one unbeaten": plain(unbeaten),
        "disconnected": plain(apart),
        "all ties": plain(ties),
        "all bad": plain(bad),
        "one vote": plain([("base", "dpo", "b", "me")]),
        "always left": pushed,
        "nine models": plain(many),
        "two pools": pools,
        "hostile names": plain(
            [("<img src=x onerror=alert(1)>", "a & b", "ab"[i % 2], f"v{i}") for i in range(9)]
        ),
    }
