"""System prompts by name, and how a conversation becomes what a tokenizer's chat template takes.

The paper's systems ran under different prompts (NOTE: that alone can make a difference between
them), so a prompt always has a name here, is the same for all models of a comparison unless
`as-published` is asked for, and is recorded with every result.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from empo.errors import UsageError
from empo.types import Stage, Turn

_PAPER_HEAD = (
    "You are a friendly assistant, who provides empathetic responses to the user. The input "
    "contains previous turn of the dialog, where each utterance is prefaced with tags {tags}. "
    "Be empathetic and precise. Make sure to give responses that make dialogue flow. "
)
_TAGS = "<|user|>, or <|assistant|>"
_PAPER_BASE = _PAPER_HEAD.format(tags=_TAGS) + "Avoid repeating the prompt."
# The released SFT and DPO predictions all carry these unfilled tags; kept as published.
_PAPER_TUNED = (
    _PAPER_HEAD.format(tags="{}, or {}")
    + "Avoid repeating the prompt. Please respond creatively and expressively to make the "
    "responses longer. You can offer advice."
)
_PAPER_SHORT = (
    _PAPER_HEAD.format(tags=_TAGS)
    + "Avoid repeating the prompt and giving unsolicited advice. Make the responses short."
)

PROMPTS: dict[str, str | None] = {
    "none": None,
    "shared": (
        "You are a friendly listener. Answer the user's last message in one to three short "
        "sentences that show you understand how they feel."
    ),
    "paper-base": _PAPER_BASE,
    "paper-tuned": _PAPER_TUNED,
    "paper-short": _PAPER_SHORT,
}
AS_PUBLISHED = "as-published"
PROMPT_NAMES: tuple[str, ...] = (*PROMPTS, AS_PUBLISHED)


def system_prompt(name: str, stage: Stage) -> str | None:
    """The text of prompt `name` for a model of `stage`; None where there is no system turn.

    Raises:
        UsageError: no prompt has that name.
    """
    if name == AS_PUBLISHED:
        name = "paper-base" if stage == "base" else "paper-tuned"
    if name not in PROMPTS:
        raise UsageError(f"There is no prompt “{name}”; choose one of {', '.join(PROMPT_NAMES)}.")
    return PROMPTS[name]


def with_system(turns: Sequence[Turn], prompt: str | None) -> tuple[Turn, ...]:
    """`turns` with the system prompt in front, where there is one."""
    return (Turn("system", prompt), *turns) if prompt else tuple(turns)


_MARKER = re.compile(r"<\|[^|<>]{1,40}\|>|\[/?INST\]|<</?SYS>>|</?(?:s|start_of_turn|end_of_turn)>")
_JOINER = "\u200d"  # zero-width joiner: invisible, but the text is no longer the marker


def role_markers(chat_template: str, special_tokens: Iterable[str]) -> tuple[str, ...]:
    """Every string that `chat_template` may read as the start or end of a role, longest first.

    Holds the special tokens, the literal markers in the template, and `<|role|>` for each role
    (templates often build that from parts). Needed for tokenizers whose role tags are ordinary
    text, which `sanitize_control_tokens` does not protect.
    """
    found = {*special_tokens, *_MARKER.findall(chat_template)}
    found |= {f"<|{role}|>" for role in ("system", "user", "assistant")}
    return tuple(sorted((m for m in found if len(m) > 1), key=len, reverse=True))


def neutralise(text: str, markers: Sequence[str]) -> str:
    """`text` with a zero-width joiner after the first character of each of `markers`."""
    for marker in markers:
        text = re.sub(
            re.escape(marker), lambda m: m[0][0] + _JOINER + m[0][1:], text, flags=re.IGNORECASE
        )
    return text
