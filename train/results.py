"""What a finished run leaves: did it help, a card, and last of all the catalogue's entry."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

from empo.errors import EmpoError
from empo.training.card import card
from empo.training.folder import RunFolder, write_json
from empo.training.recipe import Recipe

_PLAIN = {
    "sft": "taught by examples, here",
    "dpo": "taught by preferences, here",
    "kto": "taught by single judgements, here",
}


def publish(folder: RunFolder, spec: Recipe, say: Callable[[str], None]) -> None:
    """Measure the adapter against its start, write the card, then `model.json`.

    Where it cannot be measured the result says why: the adapter is whole all the same.
    """
    result = _measured(folder, spec, say)
    write_json(folder / "result.json", result)
    say("writing the card")
    text = card(folder, spec, result)
    half = folder / ".README.md.part"
    half.write_text(text, "utf-8")
    half.replace(folder / "README.md")
    write_json(folder / "model.json", entry(folder.name, spec))


def entry(name: str, spec: Recipe) -> dict[str, Any]:
    """What the catalogue reads (`empo/models/catalogue.py`)."""
    return {
        "name": name,
        "label": name,
        "plain": _PLAIN[spec.kind],
        "stage": spec.kind,
        "base": spec.base,
        "adapter": "adapter",
        "prompt": spec.prompt,
        "created": round(time.time()),
    }


def _measured(folder: RunFolder, spec: Recipe, say: Callable[[str], None]) -> dict[str, Any]:
    from empo.helped import hold_against
    from train.adapters import start_folder

    if not spec.measure:
        return {"verdict": None, "sentence": "It was not measured: measure is 0 in its recipe."}
    try:
        start = start_folder(spec.start) if spec.start else None
        return hold_against(
            spec.base,
            start,
            folder.adapter,
            stage=spec.kind,
            prompt=spec.prompt,
            dialogues=spec.measure,
            seed=spec.seed,
            progress=lambda text, share: say(f"measuring: {text} {share:.0%}"),
            stopped=folder.stop_file.exists,
            data=spec.data,
        )
    except EmpoError as error:
        print(error, file=sys.stderr)
        return {"verdict": None, "sentence": f"It could not be measured: {error}"}
    except Exception as error:  # the adapter is whole: a run must not fail for want of figures
        traceback.print_exc()
        said = f"It could not be measured ({type(error).__name__}); log.txt tells more."
        return {"verdict": None, "sentence": said}
