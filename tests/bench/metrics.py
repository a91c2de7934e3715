"""How long the metric suite takes on 2,540 replies, beside VADER alone, and what dominates.

    python -m tests.bench.metrics [--replies N] [--repeats N]

The suite is everything but BERTScore (`--metrics` of `python -m empo evaluate`), baselines,
intervals and tests included, on the paper's recorded replies with their stored levels; where these
are not in EMPO_DATA, on made-up ones. Times are processor seconds, medians of the repeats.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from empo.data.replies import Answered, read_answers
from empo.evaluation import comparisons, measure, of_replies, run, summary
from empo.evaluation.request import METRICS, OF_MODELS, Request
from empo.metrics import tokens
from empo.metrics.nidf import Nidf
from empo.metrics.tokens import lower_tokens
from empo.scoring.valence import vader
from empo.settings import settings

RECORDED = "recorded_replies_dpo_d270.csv.gz"
_within: list[float] = []  # of each timed call in progress, the seconds of timed calls within it
LEFT_OUT = {"bertscore_f1", *OF_MODELS}
WORDS = "i am so sorry that you had to go through this what happened then how are you now"
# What is timed on its own: a name, and the function that does it.
PARTS: tuple[tuple[str, Any, str], ...] = (
    ("word tokens, lower-cased", tokens, "tokens"),
    ("trigrams said twice", measure, "repetitive"),
    ("self-BLEU", measure, "self_bleu"),
    ("VAD", measure, "_vad"),
    ("NIDF", Nidf, "__call__"),
    ("VADER of all systems", measure, "compound"),
    ("distinct-n", summary, "_distinct"),
    ("sign-flip tests", comparisons, "sign_flip"),
    ("draws of the bootstrap", run, "draws"),
    ("intervals by the bootstrap", summary, "mean_interval"),
    ("kappas with intervals", summary, "_kappa"),
    ("reading the file", of_replies.collect, "recorded_of"),
    ("files", run, "write"),
)


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Median processor seconds of `work`."""
    found = []
    for _ in range(repeats):
        lower_tokens.cache_clear()
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return statistics.median(found)


def replies(count: int, folder: Path) -> Path:
    """A file of `count` replies with levels: recorded ones, or made up."""
    path = settings().data_dir / RECORDED
    if path.is_file():
        (rows,) = read_answers(path).values()
    else:
        rows = tuple(_made_up(random.Random(n)) for n in range(count))
    out = folder / "bench.jsonl"
    with out.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(_line(row)) + "\n" for row in rows[:count])
    return out


def _made_up(rng: random.Random) -> Answered:
    def text() -> str:
        return " ".join(rng.choices(WORDS.split(), k=rng.randint(5, 20)))

    levels = (rng.randint(0, 2), rng.randint(0, 2), rng.randint(0, 2))
    return Answered("", (), text(), text(), "sad", levels, levels)


def _line(row: Answered) -> dict[str, object]:
    return {
        "context": [turn.text for turn in row.turns] or "I am sad.",
        "reply": row.reply,
        "human": row.human,
        "levels": dict(zip(("ip", "ex", "er"), row.levels or (0, 0, 0), strict=True)),
        "human_levels": dict(zip(("ip", "ex", "er"), row.human_levels or (0, 0, 0), strict=True)),
    }


@contextmanager
def timed(owner: Any, attribute: str) -> Iterator[list[float]]:
    """Within the block, the processor seconds of every call of `owner.attribute`, without those of
    timed calls within it."""
    of, spent = getattr(owner, attribute), []

    def clocked(*args: Any, **named: Any) -> Any:
        start = time.process_time()
        _within.append(0.0)
        try:
            return of(*args, **named)
        finally:
            whole = time.process_time() - start
            spent.append(whole - _within.pop())
            if _within:
                _within[-1] += whole

    setattr(owner, attribute, clocked)
    try:
        yield spent
    finally:
        setattr(owner, attribute, of)


def parts(work: Callable[[], object]) -> dict[str, float]:
    """Processor seconds of each of PARTS in one run of `work`."""
    lower_tokens.cache_clear()
    with ExitStack() as stack:
        spent = {name: stack.enter_context(timed(owner, at)) for name, owner, at in PARTS}
        work()
    return {name: sum(found) for name, found in spent.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replies", type=int, default=2540)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = replies(options.replies, Path(folder))
        (rows,) = read_answers(path).values()
        texts = [row.reply for row in rows]
        metrics = tuple(name for name in METRICS if name not in LEFT_OUT)
        request = Request(Path(folder) / "out", Path(folder), replies=(path,), metrics=metrics)

        def suite() -> None:
            run.evaluate(request)

        vader(texts[0])
        suite()  # word counts of NIDF are made once and kept
        alone = seconds(lambda: [vader(text) for text in texts], options.repeats)
        whole = seconds(suite, options.repeats)
        shares = parts(suite)
    print(f"{len(texts)} replies: VADER alone {alone:.2f} s, the suite {whole:.2f} s", end="")
    print(f" with three baselines of as many replies: ratio {whole / alone:.1f}")
    for name, spent in sorted(shares.items(), key=lambda item: -item[1]):
        print(f"  {name}: {spent:.2f} s, {spent / whole:.0%}")
    print(f"  all else: {max(0.0, 1 - sum(shares.values()) / whole):.0%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
