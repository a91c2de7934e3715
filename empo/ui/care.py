"""When words point to danger (`empo.danger`): say where people are, and let one go on.

It only ever adds a line with help to the page. Nothing is refused or reported.
"""

from __future__ import annotations

DIRECTORY = "https://findahelpline.com"
HELP_LINES = (
    "If you are in danger or thinking of ending your life, please talk to a person now: "
    f'<a href="{DIRECTORY}" target="_blank" rel="noopener noreferrer">findahelpline.com</a> lists '
    "free, confidential lines in over 130 countries. In an emergency call your local number. "
    "The models here cannot help; you can go on writing."
)
