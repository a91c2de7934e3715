"""When words point to danger: say where people are, and let the conversation go on.

A list of phrases, not a detector: it misses much and is sometimes wrong, and it only ever adds a
line with help to the page. Nothing is recorded, refused or reported.
"""

from __future__ import annotations

import re

DIRECTORY = "https://findahelpline.com"
HELP_LINES = (
    "If you are in danger or thinking of ending your life, please talk to a person now: "
    f'<a href="{DIRECTORY}" target="_blank" rel="noopener noreferrer">findahelpline.com</a> lists '
    "free, confidential lines in over 130 countries. In an emergency call your local number. "
    "The models here cannot help; you can go on writing."
)

_DANGER = re.compile(
    r"""\b(?:
    suicid\w*
  | kill(?:ing)?\s+(?:my\s*self|him\s*self|her\s*self|them\s*selves)
  | (?:end|ending|take|taking)\s+(?:my|his|her|their)(?:\s+own)?\s+life
  | end(?:ing)?\s+it\s+all
  | (?:want|wanted|wanna|wish\w*|going|ready|rather)\s+(?:to\s+)?(?:be\s+dead|die)\b
  | (?:do\s*n[o']?t|don’t|no\s+longer)\s+(?:want|wanna)\s+to\s+(?:live|be\s+alive|exist|wake\s+up)
  | (?:no\s+reason|nothing\s+left)\s+to\s+live(?:\s+for)?
  | better\s+off\s+(?:dead|without\s+me)
  | (?:hurt|hurting|harm|harming|cut|cutting)\s+my\s*self
  | self[-\s]?harm\w*
  | overdos(?:e|ed|ing)
  | (?:he|she|they|my\s+\w+)\s+(?:beats?|hits?|chokes?|rapes?|raped|abuses?)\s+me
  )\b""",
    re.IGNORECASE | re.VERBOSE,
)


def points_to_danger(text: str) -> bool:
    """Whether `text` has a phrase about suicide, self-harm or violence at home (English)."""
    return _DANGER.search(text.replace("’", "'")) is not None
