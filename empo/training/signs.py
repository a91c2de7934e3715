"""Signs of trouble in a run's curves and samples, in plain words, with what to try."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

EARLY = 0.25  # share of the steps
SURE = 0.99
FALL = 10.0  # nats of a whole reply, against the reference
GROWTH = 1.5
_MINIMUM = 8  # logged steps before anything is said

Rows = Sequence[Mapping[str, Any]]


def signs(metrics: Rows, samples: Rows, kind: str) -> list[str]:
    """One sentence for each sign; nothing where there is too little to say."""
    steps = [row for row in metrics if "loss" in row]
    found = []
    if any(row["loss"] is None for row in steps):
        found.append(
            "The loss was no number at some step: try a tenth of optimiser.learning_rate, or a "
            "smaller optimiser.clip."
        )
    if len(steps) >= _MINIMUM:
        found += [said for said in (_sure_early(steps), _chosen_falls(steps, metrics)) if said]
        found += [said for said in (_overfits(metrics),) if said]
    found += [said for said in (_longer(samples), _repeats(samples)) if said]
    return found


def _sure_early(steps: Rows) -> str | None:
    early = steps[: max(_MINIMUM // 2, round(len(steps) * EARLY))]
    values = [row["rewards/accuracies"] for row in early if _is(row, "rewards/accuracies")]
    half = values[len(values) // 2 :]
    if len(half) < 3 or fmean(half) < SURE:
        return None
    return (
        "Accuracy reached 1.0 in the first quarter: the pairs are too easy, so look whether length "
        "or a phrase gives them away, or choose harder rejected replies."
    )


def _chosen_falls(steps: Rows, metrics: Rows) -> str | None:
    for name in ("ratios/chosen", "logps/chosen"):
        values = [row[name] for row in steps if _is(row, name)]
        if len(values) < _MINIMUM:
            continue
        quarter = max(2, len(values) // 4)
        start = 0.0 if name.startswith("ratios") else fmean(values[:quarter])
        if fmean(values[-quarter:]) - start < -FALL:
            return (
                "The chosen replies have become much less likely than under the model it began "
                "from: try a higher beta, some sft_weight (0.1), or a lower learning rate."
            )
    return None


def _overfits(metrics: Rows) -> str | None:
    values = [row["eval_loss"] for row in metrics if _is(row, "eval_loss")]
    if len(values) < 3 or values[-1] <= min(values) * 1.02 or values[-1] <= values[-2]:
        return None
    return (
        "The loss on the validation split has begun to rise: stop earlier, take fewer epochs, or "
        "add dropout."
    )


def _by_step(samples: Rows) -> list[list[str]]:
    found: dict[int, list[str]] = {}
    for row in samples:
        found.setdefault(row.get("step", 0), []).append(str(row.get("reply", "")))
    return [found[step] for step in sorted(found)]


def _longer(samples: Rows) -> str | None:
    groups = _by_step(samples)
    if len(groups) < 2:
        return None
    first, last = (fmean(len(text.split()) for text in group) for group in (groups[0], groups[-1]))
    if last < max(5.0, first) * GROWTH:
        return None
    return (
        f"The samples grew from {first:.0f} to {last:.0f} words: long replies are being learnt as "
        "such, so balance the lengths of the pairs or take the loss sigmoid_norm or ipo."
    )


def _repeats(samples: Rows) -> str | None:
    groups = _by_step(samples)
    if not groups:
        return None
    bad = [text for text in groups[-1] if _says_again(text)]
    if 2 * len(bad) <= len(groups[-1]):
        return None
    return (
        "Most samples say the same words again and again: training went too far, so try a lower "
        "learning rate, fewer epochs or a higher beta."
    )


def _says_again(text: str, n: int = 3, times: int = 3) -> bool:
    """Whether some `n` words in a row come `times` times."""
    words = text.lower().split()
    grams = Counter(zip(*(words[i:] for i in range(n)), strict=False))
    return any(count >= times for count in grams.values())


def _is(row: Mapping[str, Any], name: str) -> bool:
    return isinstance(row.get(name), int | float)
