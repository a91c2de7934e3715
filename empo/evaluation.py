"""Measure the models of a stack on recorded dialogues: perplexity, pair accuracy, variety.

- Reply perplexity: every listener turn of every dialogue, token-weighted.
- Pair accuracy: emotion-grounded pairs (`empo.pairs`); how often log π − log π_ref is higher for
  the human's reply than for one from a dialogue of the opposite emotion, with baselines beside it.
- Generated replies to the last listener turn's context: distinct-2, words, repetition, beside the
  human replies to the same contexts.

A report is a plain dictionary that JSON can hold, with counts, seed and sampling in it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from empo.data.dialogues import find_split, load_split, read_dialogues
from empo.data.preferences import last_exchange
from empo.errors import DataError
from empo.metrics.baselines import EmotionFit, Overlap, length_scores
from empo.metrics.distinct import distinct, mean_words, repetitive
from empo.metrics.pair_accuracy import pair_accuracy
from empo.metrics.perplexity import perplexity
from empo.models.likelihood import Likelihood, TurnScore
from empo.models.stacks import Stack, load_stack
from empo.pairs import paper_pairs
from empo.prompts import system_prompt, with_system
from empo.settings import settings
from empo.types import Dialogue, ModelSpec, PreferencePair, Sampling, Turn

if TYPE_CHECKING:
    from empo.models.engine import Engine

REPLIES = 500
ROWS_AT_ONCE = 24
Progress = Callable[[str, float], None]
Scored = dict[str, list[list[TurnScore]]]


def evaluate(
    stack_name: str,
    models: Sequence[str] | None = None,
    data_path: Path | None = None,
    limit: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    replies: int = REPLIES,
    engine: Engine | None = None,
) -> dict[str, Any]:
    """The report on `models` (default: all) of the stack, as `markdown` takes it.

    `data_path` is a file of dialogues, or a folder with the splits (the test split is taken;
    default: EMPO_DATA). `limit` dialogues are drawn by `seed` (files are often sorted by emotion),
    and `replies` of them answered; rejected replies come from the whole file.
    `progress` hears (what, share 0..1). `engine` answers in place of the stack's own.

    Raises:
        UsageError: no such stack or model.
        DataError: no dialogues, or none to make pairs of.
        StackError: a model cannot be loaded or scored.
    """
    stack = load_stack(stack_name)
    chosen = [stack.model(name) for name in models] if models else list(stack.models)
    tell = progress or (lambda text, share: None)
    path = _test_file(data_path or settings().data_dir)
    every = read_dialogues(path).dialogues
    dialogues = _sample(every, limit, seed)
    ids = {dialogue.id for dialogue in dialogues}
    pairs = [pair for pair in paper_pairs(every, seed) if pair.dialogue_id in ids]
    scores = _score_all(stack, chosen, dialogues, pairs, tell)
    return {
        "stack": stack.name,
        "prompt": stack.prompt,
        "data": {"file": path.name, "dialogues": len(dialogues), "pairs": len(pairs)},
        "seed": seed,
        "perplexity": {spec.name: _perplexity(scores[0][spec.name], seed) for spec in chosen},
        "pairs": _pair_figures(stack, chosen, dialogues, pairs, scores, seed),
        "baselines": _baselines(path.parent, pairs, seed, tell),
        "replies": _reply_figures(
            stack, chosen, _sample(dialogues, replies, seed), Sampling(seed=seed), tell, engine
        ),
    }


def _test_file(path: Path) -> Path:
    return path if path.is_file() else find_split(path, "test")


def _sample(dialogues: Sequence[Dialogue], count: int | None, seed: int) -> Sequence[Dialogue]:
    """`count` of `dialogues` (all, where there are no more), in their order."""
    if count is None or count >= len(dialogues):
        return dialogues
    places = sorted(random.Random(seed).sample(range(len(dialogues)), count))
    return [dialogues[place] for place in places]


def _reference(stack: Stack, spec: ModelSpec) -> ModelSpec | None:
    """What a preference-trained model is compared with: the stack's SFT model; else None."""
    if spec.stage not in ("dpo", "kto"):
        return None
    return next((other for other in stack.models if other.stage == "sft"), None)


def _prompt(stack: Stack, spec: ModelSpec) -> str | None:
    return system_prompt(stack.prompt, spec.stage)


def _score_all(
    stack: Stack,
    chosen: Sequence[ModelSpec],
    dialogues: Sequence[Dialogue],
    pairs: Sequence[PreferencePair],
    tell: Progress,
) -> tuple[Scored, Scored]:
    """Scores of the human dialogues, and of each pair's prompt with the rejected reply."""
    likelihood = Likelihood(stack)
    tuned = [spec for spec in chosen if _reference(stack, spec)]
    paired = {s.name: s for spec in tuned for s in (spec, _reference(stack, spec)) if s}
    every = {spec.name: spec for spec in chosen} | paired

    def run(spec: ModelSpec, texts: Sequence[tuple[Turn, ...]], what: str) -> Any:
        return likelihood.score(
            spec.name,
            [with_system(turns, _prompt(stack, spec)) for turns in texts],
            lambda done, total: tell(f"{what}, {spec.name}", done / total),
        )

    human = [dialogue.turns for dialogue in dialogues]
    worse = [(*pair.prompt, Turn("assistant", pair.rejected)) for pair in pairs]
    return (
        {name: run(spec, human, "human replies") for name, spec in every.items()},
        {name: run(spec, worse, "rejected replies") for name, spec in paired.items()},
    )


def _perplexity(scores: Sequence[Sequence[TurnScore]], seed: int) -> dict[str, Any]:
    nats = [sum(turn.nats for turn in turns) for turns in scores]
    return asdict(perplexity(nats, [sum(turn.tokens for turn in turns) for turns in scores], seed))


def _pair_figures(
    stack: Stack,
    chosen: Sequence[ModelSpec],
    dialogues: Sequence[Dialogue],
    pairs: Sequence[PreferencePair],
    scores: tuple[Scored, Scored],
    seed: int,
) -> dict[str, Any]:
    """For each preference-trained model: accuracy against its reference, mean log-ratios."""
    human, worse = scores
    place = {dialogue.id: i for i, dialogue in enumerate(dialogues)}
    found = {}
    for spec in chosen:
        if reference := _reference(stack, spec):
            better = [
                human[reference.name][i][-1].nats - human[spec.name][i][-1].nats
                for i in (place[pair.dialogue_id] for pair in pairs)
            ]
            other = [
                worse[reference.name][i][-1].nats - worse[spec.name][i][-1].nats
                for i in range(len(pairs))
            ]
            found[spec.name] = asdict(pair_accuracy(better, other, seed)) | {
                "reference": reference.name,
                "ratio_chosen": sum(better) / len(better),
                "ratio_rejected": sum(other) / len(other),
            }
    return found


def _baselines(
    folder: Path, pairs: Sequence[PreferencePair], seed: int, tell: Progress
) -> dict[str, Any]:
    """Pair accuracy of the baselines; those that learn are None without a training split."""
    chosen, rejected = [pair.chosen for pair in pairs], [pair.rejected for pair in pairs]
    tell("baselines", 0.0)
    found: dict[str, Any] = {
        "longer reply": pair_accuracy(length_scores(chosen), length_scores(rejected), seed),
        "overlap with the context": None,
        "typical of the emotion": None,
    }
    try:
        train = load_split(folder, "train")
    except DataError:
        tell("baselines", 1.0)
        return {name: asdict(value) if value else None for name, value in found.items()}
    contexts = [" ".join(turn.text for turn in pair.prompt) for pair in pairs]
    overlap = Overlap([turn.text for dialogue in train for turn in dialogue.turns])
    found["overlap with the context"] = pair_accuracy(
        overlap.scores(contexts, chosen), overlap.scores(contexts, rejected), seed
    )
    tell("baselines", 0.3)
    fit = EmotionFit([last_exchange(d)[1] for d in train], [str(d.emotion) for d in train])
    emotions = [pair.emotion for pair in pairs]
    found["typical of the emotion"] = pair_accuracy(
        fit.scores(chosen, emotions), fit.scores(rejected, emotions), seed
    )
    tell("baselines", 1.0)
    return {name: asdict(value) for name, value in found.items() if value}


def _reply_figures(
    stack: Stack,
    chosen: Sequence[ModelSpec],
    dialogues: Sequence[Dialogue],
    sampling: Sampling,
    tell: Progress,
    engine: Engine | None,
) -> dict[str, Any]:
    """Variety and length of generated replies beside the human ones, and what was generated."""
    contexts = [last_exchange(dialogue)[0] for dialogue in dialogues]
    own = engine or _own_engine(stack)
    try:
        texts = _answers(own, chosen, contexts, sampling, tell)
    finally:
        if engine is None:
            own.close()
    texts["human"] = [last_exchange(dialogue)[1] for dialogue in dialogues]
    figures = {
        name: {
            "distinct_2": distinct(replies),
            "mean_words": mean_words(replies),
            "repetitive": repetitive(replies),
        }
        for name, replies in texts.items()
    }
    return {"count": len(contexts), "sampling": asdict(sampling), "figures": figures}


def _own_engine(stack: Stack) -> Engine:
    from empo.models.loading import load_engine

    return load_engine(stack, quantisation="none")


def _answers(
    engine: Engine,
    chosen: Sequence[ModelSpec],
    contexts: Sequence[tuple[Turn, ...]],
    sampling: Sampling,
    tell: Progress,
) -> dict[str, list[str]]:
    """What each of `chosen` replies to each context, in order; batches of like lengths."""
    from empo.models.engine import Row

    order = sorted(range(len(contexts)), key=lambda i: sum(len(t.text) for t in contexts[i]))
    size = max(1, ROWS_AT_ONCE // len(chosen))
    found = {spec.name: [""] * len(contexts) for spec in chosen}
    for start in range(0, len(order), size):
        keys = [(spec, i) for i in order[start : start + size] for spec in chosen]
        rows = [
            Row(
                spec.name,
                with_system(contexts[i], _prompt(engine.stack, spec)),
                spec.adapters,
                sampling,
            )
            for spec, i in keys
        ]
        for step in engine.stream(rows):
            for row, reply in step.replies.items():
                spec, i = keys[row]
                found[spec.name][i] = reply.text
        tell("generated replies", min(1.0, (start + size) / len(order)))
    return found


def markdown(report: dict[str, Any]) -> str:
    """The report as Markdown tables."""
    data, replies = report["data"], report["replies"]
    lines = [
        f"Stack {report['stack']}, prompt {report['prompt']}, {data['dialogues']} dialogues of "
        f"{data['file']}, seed {report['seed']}; 95 % intervals by dialogue.",
        "",
        "| Model | Reply perplexity | nats a token |",
        "|---|---|---|",
    ]
    for name, row in report["perplexity"].items():
        lines.append(f"| {name} | {_spread(row, 1, 2)} | {row['nats']:.3f} |")
    lines += ["", f"| {data['pairs']} pairs: prefers the human's reply | % |", "|---|---|"]
    for name, row in report["pairs"].items():
        lines.append(f"| {name} against {row['reference']} | {_spread(row, 100, 1)} |")
    for name, row in report["baselines"].items():
        lines.append(f"| {name} | {_spread(row, 100, 1) if row else 'not measured'} |")
    lines += [
        "",
        f"| {replies['count']} replies | distinct-2 | words | say a trigram twice |",
        "|---|---|---|---|",
    ]
    for name, row in replies["figures"].items():
        cells = (_cell(row["distinct_2"]), _cell(row["mean_words"], 1), _cell(row["repetitive"]))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    sampling = ", ".join(f"{key} {value}" for key, value in replies["sampling"].items())
    return "\n".join([*lines, "", f"Replies drawn with {sampling}."])


def _spread(row: dict[str, Any], scale: float, digits: int) -> str:
    value, low, high = (f"{scale * row[key]:.{digits}f}" for key in ("value", "low", "high"))
    return f"{value} ({low}–{high})"


def _cell(value: float | None, digits: int = 3) -> str:
    return "not measured" if value is None else f"{value:.{digits}f}"
