"""A million votes, 20 models, 5,000 voters: from the JSONL file to the whole report, one core.

    python -m tests.bench.ratings [--votes N] [--models M] [--voters G] [--limit SECONDS]

Exit code 1 if reading and rating together take more processor time than the limit (10 s); on an
idle machine that is also the time on the clock. The votes are made from known strengths, with
people who differ in taste, a left seat that helps, and ties.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import orjson
from threadpoolctl import threadpool_limits

from empo.leaderboard import ratings_report, read_votes

OUTCOMES = ("a", "b", "tie", "both_bad")


def write_votes(path: Path, votes: int, models: int, voters: int, seed: int = 0) -> np.ndarray:
    """Write made-up votes to `path` and return the strengths (models,), in logarithms."""
    rng = np.random.default_rng(seed)
    strength = np.linspace(-1, 1, models)
    taste = rng.normal(0, 0.5, (voters, models))
    voter = rng.integers(voters, size=votes)
    a = rng.integers(models, size=votes)
    b = (a + 1 + rng.integers(models - 1, size=votes)) % models
    length = rng.integers(5, 60, (votes, 2))
    eta = strength[a] - strength[b] + taste[voter, a] - taste[voter, b] + 0.1
    weight = np.stack([np.exp(eta / 2), np.exp(-eta / 2), np.full(votes, 0.5)], axis=1)
    limits = np.cumsum(weight / weight.sum(axis=1, keepdims=True), axis=1)
    outcome = (rng.random(votes)[:, None] > limits).sum(axis=1).clip(max=2)
    outcome[rng.random(votes) < 0.05] = 3
    with path.open("wb") as file:
        for i in range(votes):
            row = {
                "battle": f"battle-{i:07d}",
                "model_a": f"model-{a[i]:02d}",
                "model_b": f"model-{b[i]:02d}",
                "outcome": OUTCOMES[outcome[i]],
                "voter": f"voter-{voter[i]:05d}",
                "length_a": int(length[i, 0]),
                "length_b": int(length[i, 1]),
                "at": "2026-01-01T00:00:00Z",
                "pool": "nano live",
            }
            file.write(orjson.dumps(row) + b"\n")
    return strength


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--votes", type=int, default=1_000_000)
    parser.add_argument("--models", type=int, default=20)
    parser.add_argument("--voters", type=int, default=5_000)
    parser.add_argument("--limit", type=float, default=10.0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "votes.jsonl"
        write_votes(path, args.votes, args.models, args.voters)
        with threadpool_limits(1):
            start, clock = time.process_time(), time.perf_counter()
            votes = read_votes(path)
            read = time.process_time() - start
            report = ratings_report(votes)
            total, clock = time.process_time() - start, time.perf_counter() - clock
    first, last = report["standings"][0], report["standings"][-1]
    print(f"{args.votes} votes, {args.models} models, {args.voters} voters, one core")
    print(f"processor: read {read:.2f} s, rated {total - read:.2f} s, together {total:.2f} s")
    print(f"clock: {clock:.2f} s")
    for row in (first, last):
        print(f"{row['model']}: {row['rating']:.1f} ({row['low']:.1f} – {row['high']:.1f})")
    return 0 if total <= args.limit else 1


if __name__ == "__main__":
    sys.exit(main())
