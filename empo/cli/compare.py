"""Say something to several models at once and see their replies side by side.

--models takes models of the stack and finished training runs on its base; replies come in that
order. TEXT may be - to read standard input. --temperature 0 takes the likeliest token each time,
with no penalty. The speed is that of all replies together.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Any

from empo.cli.terminal import print_json
from empo.compare import compare
from empo.models.catalogue import with_runs
from empo.models.engine import Engine
from empo.models.inventory import choose_stack
from empo.models.stacks import Stack
from empo.prompts import PROMPT_NAMES, system_prompt
from empo.sampling import MAX_CHARACTERS, check_message, check_sampling
from empo.scoring.as_json import scores_json
from empo.scoring.card import ScorerError
from empo.scoring.scorer import load_scorer
from empo.scoring.valence import ValenceMeter, valence
from empo.settings import settings
from empo.types import QUANTISATIONS, ModelSpec, Reply, Sampling, Scores, Turn


def add(parser: argparse.ArgumentParser) -> None:
    usual = Sampling()
    option = parser.add_argument
    option("text", metavar="TEXT", help="what you say")
    option("--models", metavar="A,B", help="which, finished runs too (default: the stack's)")
    option("--stack", help="a stack's name, run:NAME, its YAML file, or auto")
    option("--quantisation", choices=QUANTISATIONS, help="default: nf4 on a GPU, none without")
    option("--prompt", metavar="NAME", help=f"one of {', '.join(PROMPT_NAMES)}")
    option("--seed", type=int, default=usual.seed)
    option("--temperature", type=float, default=usual.temperature)
    option("--top-p", type=float, default=usual.top_p)
    option("--top-k", type=int, default=usual.top_k)
    option("--min-p", type=float, default=usual.min_p)
    option("--repetition-penalty", type=float, default=usual.repetition_penalty)
    option("--max-new-tokens", type=int, default=usual.max_new_tokens)
    option("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Everything that can be wrong with the request is checked before anything is loaded."""
    sampling = check_sampling(
        Sampling(**{name: getattr(args, name) for name in Sampling.__dataclass_fields__})
    )
    message = check_message(_standard_input() if args.text == "-" else args.text)
    if args.prompt is not None:
        system_prompt(args.prompt, "base")
    ValenceMeter.from_settings()  # a lexicon that cannot be read is said now, not at the end
    stack = choose_stack(args.stack or settings().stack)
    if args.models is not None:  # finished runs have names as well
        stack = with_runs(stack, [name.strip() for name in args.models.split(",")])
    specs = chosen(stack, args.models)
    # torch takes seconds to import: not before the request is known to be right.
    from empo.models.loading import load_engine

    engine = load_engine(stack, args.quantisation or settings().quantisation)
    try:
        found = answer(engine, message, specs, sampling, args.prompt or stack.prompt)
    finally:
        engine.close()
    if args.json:
        print_json(found)
    else:
        print(as_text(found, specs))
    return 0


def _standard_input() -> str:
    """All of it, or far more than is taken; bytes that are no text are replaced."""
    return sys.stdin.buffer.read(MAX_CHARACTERS * 200).decode("utf-8", "replace")


def chosen(stack: Stack, names: str | None) -> tuple[ModelSpec, ...]:
    """The models that `names` ("base,dpo") asks for, in that order; all of them for None.

    Raises:
        UsageError: the stack has no such model.
    """
    if names is None:
        return stack.models
    return tuple(stack.model(name.strip()) for name in names.split(","))


def answer(
    engine: Engine, message: str, specs: Sequence[ModelSpec], sampling: Sampling, prompt: str
) -> dict[str, Any]:
    """The replies of `specs` to `message` as the document that `--json` prints.

    `first_token_seconds`: until the first token of any reply; `tokens_per_second`: tokens of all
    replies over the time that all of them took, the prompt included.
    """
    start = time.monotonic()
    replies: dict[int, Reply] = {}
    histories = [(Turn("user", message),)] * len(specs)
    for step in compare(engine, histories, specs, sampling, prompt):
        replies.update(step.replies)
    seconds = time.monotonic() - start
    tokens = sum(reply.tokens for reply in replies.values())
    measured = _scores(message, [replies[i].text for i in range(len(specs))])
    return {
        "stack": engine.stack.name,
        "quantisation": engine.quantisation,
        "seed": sampling.seed,
        "prompt": prompt,
        "first_token_seconds": round(min(r.first_token_seconds for r in replies.values()), 4),
        "tokens_per_second": round(tokens / max(seconds, 1e-9), 2),
        "replies": [_reply(spec, replies[i], measured[i]) for i, spec in enumerate(specs)],
    }


def _scores(message: str, texts: Sequence[str]) -> list[Scores]:
    """The scores of all replies, in one pass; valence alone where the scorer fails."""
    try:
        return load_scorer().score([(message, text) for text in texts])
    except ScorerError as error:
        print(error, file=sys.stderr)
        return [Scores(valence=valence(text)) for text in texts]


def _reply(spec: ModelSpec, reply: Reply, scores: Scores) -> dict[str, Any]:
    return {
        "model": spec.name,
        "stage": spec.stage,
        "adapter": adapter_name(spec),
        "text": reply.text,
        "tokens": reply.tokens,
        "seconds": round(reply.seconds, 4),
        "stopped_by": reply.stopped_by,
        "scores": scores_json(scores),
    }


def adapter_name(spec: ModelSpec) -> str | None:
    """None for the base, the adapter's name, or a blend as "sft:0.5+dpo:0.5"."""
    used = {name: weight for name, weight in spec.adapters.items() if weight}
    if list(used.values()) == [1]:
        return next(iter(used))
    return "+".join(f"{name}:{weight:g}" for name, weight in used.items()) or None


def as_text(found: dict[str, Any], specs: Sequence[ModelSpec]) -> str:
    """The replies for a person to read."""
    parts = []
    for spec, reply in zip(specs, found["replies"], strict=True):
        vader = reply["scores"]["valence"]["vader"]
        mood = "valence not measured" if vader is None else f"valence {vader:+.2f}"
        facts = f"{reply['tokens']} tokens, {reply['seconds']:.1f} s, {reply['stopped_by']}, {mood}"
        parts.append(f"{spec.label} – {spec.plain}\n  {reply['text']}\n  ({facts})")
    parts.append(
        f"stack {found['stack']}, quantisation {found['quantisation']}, prompt {found['prompt']}, "
        f"seed {found['seed']}; first token after {found['first_token_seconds']:.2f} s, "
        f"{found['tokens_per_second']:.0f} tokens/s"
    )
    return "\n\n".join(parts)
