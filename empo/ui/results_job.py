"""What the Results tab asks for and watches: evaluations in the trainer's line."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from empo.data.dialogues import find_split
from empo.errors import DataError, UsageError
from empo.evaluation import line
from empo.evaluation.request import METRICS, OF_MODELS
from empo.models.catalogue import with_runs
from empo.sampling import check_message
from empo.ui.services import Services

MOST_DIALOGUES, MOST_SITUATIONS = 1000, 200


def spec_of(
    services: Services, models: Sequence[str], dialogues: int | None, situations: Sequence[str]
) -> line.Spec:
    """What was asked for, checked.

    Raises:
        UsageError: no model, an unknown one, too many dialogues, an empty situation.
        DataError: there are no dialogues to answer.
    """
    stack = with_runs(services.stack, models)
    names = tuple(stack.model(name).name for name in models)
    if not names:
        raise UsageError("Choose at least one model.")
    texts = tuple(check_message(text) for text in situations if text.strip())
    if dialogues is None and not texts:
        raise UsageError("Write at least one situation, each on a line of its own.")
    if len(texts) > MOST_SITUATIONS:
        raise UsageError(f"At most {MOST_SITUATIONS} situations are taken, not {len(texts)}.")
    if dialogues is not None:
        if not 1 <= dialogues <= MOST_DIALOGUES:
            raise UsageError(f"Choose from 1 to {MOST_DIALOGUES} dialogues, not {dialogues}.")
        find_split(services.settings.data_dir, "test")
    mark = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:6]
    what = f"{dialogues}" if dialogues is not None else f"situations-{mark}"
    # A second copy of the weights, for their probabilities, only where they are small.
    left_out = () if stack.name == "nano" else OF_MODELS
    return line.Spec(
        # The same choice has the same folder, where an interrupted evaluation goes on.
        name=_name(stack.name, names, what),
        stack=services.loads.stack,
        models=names,
        dialogues=dialogues,
        situations=texts if dialogues is None else (),
        metrics=tuple(name for name in METRICS if name not in left_out),
        quantisation=services.loads.quantisation,
        engine=services.loads.engine,
    )


def _name(stack: str, models: Sequence[str], what: str) -> str:
    name = "-".join([stack, *models, what])
    if len(name) <= 100:
        return name
    mark = hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"{name[:90]}-{mark}"


def start(services: Services, spec: line.Spec) -> None:
    """Begin, or stand in line.

    Raises:
        UsageError: this machine cannot do it.
        Busy: it is in line already, or three are waiting.
    """
    if services.settings.zero_gpu:
        raise UsageError(
            "On ZeroGPU nothing may run in the background: python -m empo evaluate does it."
        )
    line.start(spec)


def can_answer(services: Services) -> bool:
    """Whether there are dialogues to answer."""
    try:
        find_split(services.settings.data_dir, "test")
    except DataError:
        return False
    return True
