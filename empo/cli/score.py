"""Score a reply, or a file of them: empathy, its rationale, valence, the speaker's emotion.

FILE has one JSON object a line with the fields context (what the speaker said last) and reply; the
same lines come out with the field scores added. What cannot be measured is null.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path

from empo.cli.terminal import print_json
from empo.errors import DataError, UsageError
from empo.score import score_file, score_one
from empo.scoring.as_json import scores_json
from empo.scoring.scorer import SCORERS, Scorer, load_scorer
from empo.types import MECHANISMS, MechanismScore, Scores

WORDS = ("none", "some", "strong")


def add(parser: argparse.ArgumentParser) -> None:
    option = parser.add_argument
    option("--context", metavar="TEXT", help="what the speaker said last")
    option("--reply", metavar="TEXT", help="the reply to it")
    option("--file", type=Path, metavar="FILE.jsonl", help="many of them; - is standard input")
    option("--out", type=Path, metavar="FILE.jsonl", help="where the scored lines go")
    option("--scorer", choices=SCORERS, default=SCORERS[0])
    option("--checkpoints", type=Path, metavar="FOLDER", help="of the scorer epitome-roberta")
    option("--vad", type=Path, metavar="FILE", help="the NRC VAD lexicon (default: EMPO_VAD)")
    option("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    single = args.context is not None and args.reply is not None
    if single == (args.file is not None):
        raise UsageError("Give either --context and --reply, or --file.")
    if args.out and single:
        raise UsageError("--out goes with --file.")
    scorer = load_scorer(args.scorer, args.checkpoints, args.vad)
    if not single:
        return _file(scorer, args.file, args.out)
    scores = score_one(scorer, args.context, args.reply)
    if args.json:
        print_json(scores_json(scores))
    else:
        print(as_text(scores, args.reply))
    return 0


def _file(scorer: Scorer, path: Path, out: Path | None) -> int:
    try:
        if str(path) == "-":
            return _write(scorer, sys.stdin, out)
        with path.open(encoding="utf-8-sig") as lines:
            return _write(scorer, lines, out)
    except BrokenPipeError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read, or the result not be written: {error}.") from error


def _write(scorer: Scorer, lines: Iterable[str], out: Path | None) -> int:
    # ASCII with escapes: also what came in as half a character goes out as it was.
    written = (json.dumps(row) for row in score_file(scorer, lines))
    if out is None:
        for line in written:
            print(line)
        return 0
    # Beside it first: a line that is wrong leaves an older result as it was.
    half = out.with_name(f".{out.name}.part")
    try:
        with half.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in written)
        half.replace(out)
    finally:
        half.unlink(missing_ok=True)
    return 0


def as_text(scores: Scores, reply: str) -> str:
    """The scores for a person to read."""
    lines = []
    if scores.out_of_scope:
        lines.append("The reply does not look English, the only language this scorer has learnt.")
    for name in MECHANISMS:
        lines.append(f"{name.replace('_', ' ')}: {_mechanism(scores.mechanism(name), reply)}")
    vader = scores.valence.vader if scores.valence else None
    lines.append(f"valence (VADER): {'not measured' if vader is None else f'{vader:+.2f}'}")
    if scores.valence and (vad := scores.valence.vad):
        lines.append(
            f"NRC VAD: valence {vad.valence:.2f}, arousal {vad.arousal:.2f}, dominance "
            f"{vad.dominance:.2f} ({vad.unknown:.0%} of the words unknown)"
        )
    guesses = ", ".join(f"{g.name} {g.probability:.0%}" for g in scores.emotion)
    lines.append(f"the speaker's emotion: {guesses or 'not measured'}")
    return "\n".join(lines)


def _mechanism(score: MechanismScore | None, reply: str) -> str:
    if score is None:
        return "not measured"
    words = "; ".join(f"“{reply[start:end]}”" for start, end in score.rationale)
    share = score.probabilities[score.level]
    return f"{WORDS[score.level]} ({share:.0%})" + (f": {words}" if words else "")
