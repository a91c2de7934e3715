"""When words point to danger: a list of phrases, not a detector.

It misses much and is sometimes wrong. The page shows where people are to be found; what was said
is never exported, shown to others or trained on.
"""

from __future__ import annotations

import re

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
