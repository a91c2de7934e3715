"""What is measured where replies are recorded: files, without the models that made them."""

from __future__ import annotations

from typing import Any

import numpy as np

from empo.evaluation import collect
from empo.evaluation.measure import Columns
from empo.evaluation.request import OF_MODELS, Work
from empo.evaluation.summary import Number

NO_MODEL = "Recorded replies come without the model that made them."


class OfReplies:
    """Files of recorded replies."""

    def __init__(self, work: Work) -> None:
        work.items, work.systems = collect.recorded_of(work.request)
        self.left_out: str | None = None
        self.why = dict.fromkeys(OF_MODELS, NO_MODEL)
        self.facts: dict[str, Any] = {
            "stack": None,
            "prompt": None,
            "sampling": None,
            "quantisation": None,
            "revisions": {},
            "data": [path.name for path in work.request.replies],
        }

    def columns(self, name: str) -> Columns:
        return {}

    def pair_baselines(self) -> dict[str, np.ndarray | None]:
        return {}

    def knowledge(self) -> dict[str, dict[str, Number]]:
        return {}
