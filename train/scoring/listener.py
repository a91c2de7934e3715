"""What a typical human listener scores: the tick beside every gauge and bar."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from empo.data.dialogues import listener_turns
from empo.scoring.card import Listener
from empo.scoring.embedded import EmbeddedScorer
from empo.scoring.valence import ValenceMeter
from empo.types import MECHANISMS, Dialogue

SOURCE = (
    "Mean over the human listeners' replies of EmpatheticDialogues' validation split, scored with "
    "this scorer (python -m train.scorer --listener)"
)


def typical(scorer: EmbeddedScorer, dialogues: Sequence[Dialogue]) -> Listener:
    """Means over every listener turn of `dialogues`, each beside the utterance it answers."""
    pairs = [
        (context[-1].text, reply)
        for dialogue in dialogues
        for context, reply in listener_turns(dialogue)
    ]
    scores = scorer.score(pairs)
    expected, level = {}, {}
    for name in MECHANISMS:
        measured = [score for s in scores if (score := s.mechanism(name))]
        expected[name] = round(sum(score.expected for score in measured) / len(measured), 4)
        level[name] = round(sum(score.level for score in measured) / len(measured), 4)
    return Listener(expected=expected, level=level, replies=len(pairs), source=SOURCE)


def add_listener(folder: Path, dialogues: Sequence[Dialogue]) -> None:
    """Write the typical listener into the card of the scorer in `folder`."""
    scorer = EmbeddedScorer(folder, ValenceMeter())
    card = scorer.card.model_copy(update={"listener": typical(scorer, dialogues)})
    text = json.dumps(card.model_dump(), indent=1)
    (folder / "scorer.json").write_text(text + "\n", "utf-8")
