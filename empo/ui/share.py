"""A link that restores models, settings, seed and first message. Pure; checked on the way in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from urllib.parse import urlencode

from empo.conversation import MAX_COLUMNS
from empo.errors import UsageError
from empo.models.stacks import Stack
from empo.prompts import PROMPT_NAMES
from empo.sampling import LIMITS, check_message
from empo.types import Sampling

_NAMES = {
    "temperature": "t",
    "top_p": "p",
    "repetition_penalty": "r",
    "max_new_tokens": "n",
    "seed": "seed",
}


@dataclass(frozen=True, slots=True)
class Shared:
    """What a link carries."""

    columns: tuple[str, ...]
    sampling: Sampling
    prompt: str
    message: str = ""


def starting_sampling(stack: Stack) -> Sampling:
    """What the page begins with; tiny models soon lose the thread when much is left to chance."""
    return Sampling(temperature=0.3) if stack.name == "nano" else Sampling()


def address(space_id: str | None, host: str, scheme: str) -> str:
    """Where the page is reached: the Space's own page where there is one, not its iframe."""
    if space_id:
        return f"https://huggingface.co/spaces/{space_id}"
    return f"{'https' if scheme == 'https' else 'http'}://{host}/"


def link(base: str, shared: Shared) -> str:
    """`base` with everything of `shared` in its query."""
    query = {"models": ",".join(shared.columns)}
    query |= {short: f"{getattr(shared.sampling, name):g}" for name, short in _NAMES.items()}
    query["seed"] = str(shared.sampling.seed)
    query["prompt"] = shared.prompt
    if shared.message:
        query["say"] = shared.message
    return f"{base}?{urlencode(query)}"


def read(query: Mapping[str, str], stack: Stack) -> Shared | None:
    """What a query asks for; None where it asks for nothing. What is wrong in it is left out."""
    known = {"models", "prompt", "say", *_NAMES.values()}
    if not known & set(query):
        return None
    asked = (_model(name, stack) for name in query.get("models", "").split(","))
    columns = tuple(name for name in asked if name)
    prompt = query.get("prompt", "")
    return Shared(
        columns[:MAX_COLUMNS] or tuple(model.name for model in stack.models)[:3],
        _sampling(query, starting_sampling(stack)),
        prompt if prompt in PROMPT_NAMES else stack.prompt,
        _message(query.get("say", "")),
    )


def _sampling(query: Mapping[str, str], start: Sampling) -> Sampling:
    found: dict[str, float] = {}
    for field in fields(Sampling):
        text = query.get(_NAMES.get(field.name, ""), "")
        try:
            value = int(text) if LIMITS[field.name].whole else float(text)
        except ValueError:
            continue
        if value in LIMITS[field.name]:
            found[field.name] = value
    return replace(start, **found)


def _model(name: str, stack: Stack) -> str:
    """`name` as the stack has it, a place on its dial included; "" where it has not."""
    try:
        return stack.model(name).name
    except UsageError:
        return ""


def _message(text: str) -> str:
    try:
        return check_message(text)
    except UsageError:
        return ""
