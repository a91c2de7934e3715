"""Which emotion lies opposite which: the paper's map, and one that always flips the polarity.

`paper` is the map of the authors' released code (`emotions.PAPER_OPPOSITE`). It is no involution,
and several of its arrows join two unpleasant or two pleasant emotions, so that a listener's reply
from the other side may be just as fitting. `polarity` is ours: an involution over the 32 emotions,
each of 16 pleasant ones paired with one of 16 unpleasant ones. It keeps the paper's mutual arrows
where they flip the polarity; the others follow the theory of Ortony, Clore & Collins 1988 (*The
Cognitive Structure of Emotions*), in which two opposite emotions appraise one thing two ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from empo.data.emotions import EMOTIONS, PAPER_OPPOSITE
from empo.errors import UsageError


@dataclass(frozen=True, slots=True)
class Opposition:
    """A pleasant emotion, the unpleasant one across, and what makes them opposites."""

    pleasant: str
    unpleasant: str
    reason: str


_TABLE = """
joyful       sad          a gain and a loss: joy and sadness face each other on Plutchik's wheel
excited      devastated   the same at full strength: ecstasy and grief
content      anxious      at rest with how things are, and restless about how they may be
proud        ashamed      one's own deed as something to show, and as something to hide
confident    embarrassed  sure of oneself before others, and unsure of oneself before others
caring       lonely       being there for someone, and having no one there
trusting     disgusted    taking someone or something in, and pushing it away
faithful     jealous      sure of a bond, and afraid for it
impressed    disappointed more than was expected, and less than was expected
grateful     angry        another has done one good, and another has done one wrong
hopeful      afraid       a good outcome seen ahead, and a bad one
prepared     apprehensive what comes is in hand, and what comes is out of hand
anticipating terrified    drawn towards what comes, and wanting to flee from it
surprised    furious      a sudden event that is welcome, and one that is an outrage
nostalgic    guilty       looking back with warmth, and looking back with remorse
sentimental  annoyed      touched by a small thing, and put out by a small thing
"""


def _read(line: str) -> Opposition:
    return Opposition(*line.split(maxsplit=2))


OPPOSITIONS: tuple[Opposition, ...] = tuple(_read(line) for line in _TABLE.strip().splitlines())
POLARITY_OPPOSITE: dict[str, str] = {o.pleasant: o.unpleasant for o in OPPOSITIONS} | {
    o.unpleasant: o.pleasant for o in OPPOSITIONS
}
PAPER, POLARITY = "paper", "polarity"
MAPS: dict[str, Mapping[str, str]] = {PAPER: PAPER_OPPOSITE, POLARITY: POLARITY_OPPOSITE}


def opposite_map(name: str) -> Mapping[str, str]:
    """The map called `name`, emotion → opposite.

    Raises:
        UsageError: there is no such map.
    """
    if name not in MAPS:
        raise UsageError(f"There is no map “{name}”; choose one of {', '.join(MAPS)}.")
    return MAPS[name]


def flips(emotion: str, opposite: str) -> bool:
    """Whether one of the two is pleasant and the other unpleasant."""
    return EMOTIONS[emotion].polarity != EMOTIONS[opposite].polarity


def reason(emotion: str, opposite: str) -> str | None:
    """Why the two are opposites in the map `polarity`; None where they are not."""
    for found in OPPOSITIONS:
        if {emotion, opposite} == {found.pleasant, found.unpleasant}:
            return found.reason
    return None
