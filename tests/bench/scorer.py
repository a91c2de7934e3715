"""The scorer's speed, as ratios within one run, so that the machine cancels out.

    python -m tests.bench.scorer [--pairs N] [--repeats R]

turn     three replies to one message in one call ÷ three calls (target 0.5)
file     N pairs in batches ÷ one at a time, on the recorded replies where EMPO_DATA has them, else
         on made-up ones of the same lengths (target 0.15)
talk     scoring a turn of three replies ÷ generating it on the stack nano (target 0.25)

Medians of R repeats. Exit code 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import random
import statistics
import sys
import time
from collections.abc import Callable

from empo.errors import EmpoError
from empo.scoring.scorer import Pair, Scorer, load_scorer
from empo.settings import settings
from empo.types import Sampling, Turn

TARGETS = {"turn": 0.5, "file": 0.15, "talk": 0.25}
MESSAGE = "My dog died last week, and I can't stop thinking about him."
REPLIES = (
    "I'm so sorry to hear that. He must have been a good friend.",
    "Oh no! How old was he, and what happened?",
    "That is sad. I lost my cat last year and it still hurts.",
)
RECORDED = "recorded_replies_dpo_d270.csv.gz"
WORDS = "i am so sorry that you had to go through this what happened then how are you now"


def median(work: Callable[[], object], repeats: int) -> float:
    """Seconds, after one run to warm up."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def turn(scorer: Scorer, repeats: int) -> tuple[float, float]:
    """Seconds of one call with three replies, and of three calls."""
    pairs = [(MESSAGE, reply) for reply in REPLIES]
    together = median(lambda: scorer.score(pairs), repeats)
    return together, median(lambda: [scorer.score([pair]) for pair in pairs], repeats)


def file(scorer: Scorer, count: int, repeats: int) -> tuple[float, float]:
    """Seconds of `count` pairs in one call, and one by one (measured on every tenth, x 10)."""
    pairs = recorded(count) or made_up(count)
    together = median(lambda: scorer.score(pairs), max(1, repeats // 5))
    some = pairs[::10]
    alone = median(lambda: [scorer.score([pair]) for pair in some], max(1, repeats // 5))
    return together, alone * len(pairs) / len(some)


def talk(scorer: Scorer, repeats: int) -> tuple[float, float]:
    """Seconds of scoring a turn, and of generating it on nano with usual sampling."""
    from empo.compare import compare
    from empo.models.loading import load_engine
    from empo.models.stacks import load_stack

    stack = load_stack("nano")
    engine = load_engine(stack, None)
    histories = [(Turn("user", MESSAGE),)] * len(stack.models)
    found: list[Pair] = []

    def generate() -> None:
        found.clear()
        for step in compare(engine, histories, stack.models, Sampling(), stack.prompt):
            found.extend((MESSAGE, reply.text) for reply in step.replies.values())

    try:
        seconds = median(generate, max(1, repeats // 5))
        return median(lambda: scorer.score(found), repeats), seconds
    finally:
        engine.close()


def recorded(count: int) -> list[Pair]:
    """The first `count` recorded pairs; empty where the file is not in EMPO_DATA."""
    path = settings().data_dir / RECORDED
    if not path.is_file():
        return []
    csv.field_size_limit(sys.maxsize)
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines, delimiter="~")
        return [(row["prevs"], row["gens"]) for row in rows][:count]


def made_up(count: int) -> list[Pair]:
    """Pairs as long as the recorded ones: 5 to 30 words, all different."""
    rng = random.Random(0)

    def text() -> str:
        return " ".join(rng.choices(WORDS.split(), k=rng.randint(5, 30)))

    return [(text(), text()) for _ in range(count)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=2540)
    parser.add_argument("--repeats", type=int, default=15)
    args = parser.parse_args()
    scorer = load_scorer()
    found = {
        "turn": turn(scorer, args.repeats),
        "file": file(scorer, args.pairs, args.repeats),
    }
    try:
        found["talk"] = talk(scorer, args.repeats)
    except (EmpoError, ImportError) as error:
        print(f"talk: not measured ({error})")
    missed = False
    for name, (a, b) in found.items():
        missed |= a / b > TARGETS[name]
        print(f"{name}: {a:.4f} s ÷ {b:.4f} s = {a / b:.2f} (target {TARGETS[name]})")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
