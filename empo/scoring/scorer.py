"""The face of every scorer, and how to get one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from empo.errors import UsageError
from empo.settings import ASSETS
from empo.types import EmotionGuess, Scores

if TYPE_CHECKING:
    from empo.scoring.card import Listener

EMBEDDED = ASSETS / "models" / "scorer"
SCORERS = ("embedded", "epitome-roberta")

# The last speaker utterance, and the reply to it.
Pair = tuple[str, str]


class Scorer(Protocol):
    """Scores replies. Safe to call from several threads."""

    name: str
    listener: Listener | None
    """What a typical human listener scores with this very scorer; None where not computed."""

    def score(self, pairs: Sequence[Pair]) -> list[Scores]:
        """The scores of each (context, reply), in order, in one batched pass.

        Raises:
            ScorerError: the scorer cannot run.
        """
        ...

    def score_emotions(self, texts: Sequence[str]) -> list[tuple[EmotionGuess, ...]]:
        """The five likeliest emotions of each speaker's text; empty where it is not English.

        Raises:
            ScorerError: the scorer cannot run.
        """
        ...


def load_scorer(
    name: str = "embedded", checkpoints: Path | None = None, lexicon: Path | None = None
) -> Scorer:
    """The scorer called `name`; `lexicon` is an NRC VAD file (None: the settings say).

    Raises:
        UsageError: no such scorer, or `epitome-roberta` without its `checkpoints`.
        ScorerError: its files cannot be used; names the file.
    """
    from empo.scoring.valence import ValenceMeter

    meter = ValenceMeter.from_settings(lexicon)
    if name == "embedded":
        from empo.scoring.embedded import EmbeddedScorer

        return EmbeddedScorer(EMBEDDED, meter)
    if name == "epitome-roberta":
        if checkpoints is None:
            raise UsageError("The scorer epitome-roberta needs --checkpoints FOLDER.")
        from empo.scoring.epitome_roberta import EpitomeRoberta

        return EpitomeRoberta(checkpoints, meter)
    raise UsageError(f"There is no scorer “{name}”; choose {' or '.join(SCORERS)}.")
