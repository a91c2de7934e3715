"""What each number of a report is called, how it is written, and which way is better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Better = Literal["lower", "higher", "near human", ""]


@dataclass(frozen=True, slots=True)
class Entry:
    """One number. `path`: where it stands in METRICS; `column`: its name in replies.jsonl.

    `about`: one sentence for a person; `scale` multiplies what is shown.
    """

    path: str
    title: str
    about: str
    better: Better
    digits: int = 3
    group: str = "Empathy"
    column: str | None = None
    scale: float = 1.0

    @property
    def family(self) -> str:
        """What it has in common with its neighbours: "vad/diff_max" of "vad/diff_max_v"."""
        head, _, part = self.path.partition("/")
        return f"{head}/{part.rpartition('_')[0]}" if head == "vad" else head

    def of(self, metrics: Mapping[str, Any]) -> dict[str, Any] | None:
        """The number of `metrics`; None where the metric was not asked for."""
        found: Any = metrics
        for part in self.path.split("/"):
            found = found.get(part) if isinstance(found, Mapping) else None
        return found

    def written(self, value: float) -> str:
        """The value for a person, with a true minus sign."""
        return f"{self.scale * value:.{self.digits}f}".replace("-", "−")


_MECHANISMS = {"ip": "understanding", "ex": "curiosity", "er": "warmth"}
_CLOSER = "squared distance of its level from the human reply's; 0 is the same"
_AXES = {"v": "valence", "a": "arousal", "d": "dominance"}

ENTRIES: tuple[Entry, ...] = (
    Entry(
        "diff_epitome/mean",
        "diff-EPITOME, mean",
        f"Mean over understanding, curiosity and warmth: {_CLOSER}.",
        "lower",
        column="diff_epitome.mean",
    ),
    *(
        Entry(
            f"diff_epitome/{key}",
            f"diff-{key.upper()}",
            f"{word.capitalize()}: {_CLOSER}.",
            "lower",
            column=f"diff_epitome.{key}",
        )
        for key, word in _MECHANISMS.items()
    ),
    *(
        Entry(
            f"level/{key}",
            f"level {key.upper()}",
            f"Mean level of {word}, 0 none to 2 strong. More is not better.",
            "near human",
            column=f"level.{key}",
        )
        for key, word in _MECHANISMS.items()
    ),
    *(
        Entry(
            f"kappa/{key}",
            f"kappa {key.upper()}",
            f"Agreement with the human reply's level of {word}: 1 the same, 0 as by chance.",
            "higher",
        )
        for key, word in _MECHANISMS.items()
    ),
    *(
        Entry(
            f"distinct/{n}",
            f"distinct-{n}",
            f"Different {what} ÷ all: how varied the replies are together.",
            "near human",
            group="Variety",
        )
        for n, what in (("1", "words"), ("2", "pairs of words"), ("3", "triples of words"))
    ),
    Entry(
        "self_bleu_4",
        "self-BLEU-4",
        "How much a reply repeats what the others say.",
        "near human",
        group="Variety",
        column="self_bleu_4",
    ),
    Entry(
        "nidf",
        "NIDF",
        "How rare the words are: 0 in every utterance, 1 unknown.",
        "near human",
        group="Variety",
        column="nidf",
    ),
    Entry("words", "words", "Words a reply.", "near human", 2, "Variety", "words"),
    Entry(
        "repetition",
        "says a trigram twice",
        "Share of replies that say the same three words twice, in %.",
        "lower",
        1,
        "Variety",
        "repetition",
        100.0,
    ),
    Entry(
        "vader",
        "VADER",
        "Pleasantness, −1 to 1; a reply without a listed word counts as 0, as published.",
        "near human",
        group="Mood",
        column="vader",
    ),
    Entry(
        "vader_measured",
        "VADER, measured",
        "Pleasantness, −1 to 1, over the replies that have a listed word.",
        "near human",
        group="Mood",
        column="vader_measured",
    ),
    *(
        Entry(
            f"vad/{kind}_{axis}",
            f"{name} {axis.upper()}",
            f"{what} of {word}, prompt minus reply.",
            "near human",
            4 if kind == "diff_max" else 3,
            "Mood",
            f"vad.{kind}_{axis}",
        )
        for kind, name, what in (
            ("diff_max", "VAD max. diff.", "Difference of the largest values"),
            ("mean_abs", "VAD abs.", "Size of the difference of the largest values"),
            ("known_diff_mean", "VAD known", "Difference of the means over known words"),
        )
        for axis, word in _AXES.items()
    ),
    Entry(
        "vad/known_share",
        "VAD known words",
        "Share of the reply's tokens that the lexicon knows, in %.",
        "",
        1,
        "Mood",
        "vad.known_share",
        100.0,
    ),
    Entry(
        "vad/diff_max_intensity",
        "intensity",
        "Difference of the largest emotion intensities, prompt minus reply.",
        "near human",
        4,
        "Mood",
        "vad.diff_max_intensity",
    ),
    Entry(
        "bertscore_f1",
        "BERTScore F1",
        "Likeness to the human reply (roberta-large).",
        "higher",
        group="Likeness",
        column="bertscore_f1",
    ),
    Entry(
        "bertscore_f1_embedded",
        "BERTScore F1, embedded",
        "Likeness to the human reply by the embedded encoder; not comparable with roberta-large.",
        "higher",
        group="Likeness",
        column="bertscore_f1_embedded",
    ),
    Entry(
        "perplexity",
        "reply perplexity",
        "How surprising the model finds the human replies.",
        "lower",
        2,
        "Likeness",
    ),
    Entry(
        "pair_accuracy",
        "prefers the human's reply",
        "How often it prefers the human's reply to one for the opposite emotion, in %.",
        "higher",
        1,
        "Likeness",
        "pair_accuracy",
        100.0,
    ),
)
GROUPS = tuple(dict.fromkeys(entry.group for entry in ENTRIES))


def entry(path: str) -> Entry | None:
    """The entry of that path; None: there is none."""
    return next((found for found in ENTRIES if found.path == path), None)


def measured(report: Mapping[str, Any]) -> tuple[Entry, ...]:
    """The entries for which some system has a value; tasks of a probe come last."""
    systems = report["systems"].values()
    every = (*ENTRIES, *task_entries(report))
    return tuple(e for e in every if any((e.of(s) or {}).get("value") is not None for s in systems))


def task_entries(report: Mapping[str, Any]) -> tuple[Entry, ...]:
    """An entry for each task of general knowledge that was measured."""
    names = dict.fromkeys(n for s in report["systems"].values() for n in s.get("forgetting", {}))
    return tuple(
        Entry(
            f"forgetting/{name}",
            name,
            "Share of right answers, in %: what the model still knows.",
            "higher",
            1,
            "General knowledge",
            None,
            100.0,
        )
        for name in names
    )
