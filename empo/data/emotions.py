"""The 32 emotions of EmpatheticDialogues, their place on Plutchik's wheel, and their opposites.

Sources: the emotions are those of Rashkin et al. 2019 (arXiv 1811.00207, table 1). The wheel is
Plutchik's (1980; "The Nature of Emotions", American Scientist 89, 2001): eight primary emotions
45 degrees apart, opposites across, dyads in between, intensity growing towards the centre. Where
each ED emotion lies on it is our reading, made once, here; the wheel is drawn from it and nothing
is trained on it. `PAPER_OPPOSITE` is the map `plutchik_1` of the EmPO authors' released code
(arXiv 2406.19071, section 3): what their preference pairs are made with.
"""

from __future__ import annotations

from dataclasses import dataclass

from empo.errors import UsageError

# Degrees, anticlockwise from the right, as plotly draws them; joy on top as on Plutchik's wheel.
PRIMARY: dict[str, float] = {
    "joy": 90,
    "trust": 45,
    "fear": 0,
    "surprise": 315,
    "sadness": 270,
    "disgust": 225,
    "anger": 180,
    "anticipation": 135,
}


@dataclass(frozen=True, slots=True)
class Emotion:
    """An ED emotion on the wheel.

    `angle` in degrees (0..360); `intensity` in 0..1 (1 is the centre of Plutchik's wheel: rage,
    ecstasy, terror); `polarity` +1 pleasant, -1 unpleasant; `near` the primary emotion or dyad
    that the place is taken from.
    """

    name: str
    angle: float
    intensity: float
    polarity: int
    near: str


_WHEEL = """
joyful        90   .75 + joy
excited      105   .95 + joy and anticipation, strong
content       80   .35 + joy, mild (serenity)
proud        110   .65 + joy and anger (pride), drawn on joy's side
grateful      70   .60 + joy and trust (love)
caring        62   .60 + joy and trust (love)
sentimental   66   .40 + joy and trust (love), mild
faithful      52   .65 + trust and joy
trusting      45   .70 + trust
impressed     30   .70 + trust (admiration)
confident    118   .60 + anticipation and joy (optimism)
hopeful      112   .50 + anticipation and joy (optimism)
prepared     128   .45 + anticipation and joy
anticipating 135   .70 + anticipation
nostalgic     76   .35 + joy with some sadness
surprised    315   .70 + surprise
afraid         0   .70 - fear
terrified    355   .98 - fear (terror)
apprehensive   6   .35 - fear, mild (apprehension)
anxious       12   .55 - fear and anticipation (anxiety), drawn on fear's side
sad          270   .65 - sadness
devastated   275   .97 - sadness (grief)
lonely       262   .55 - sadness
disappointed 292   .55 - surprise and sadness (disapproval)
ashamed      250   .70 - sadness and disgust (remorse)
guilty       245   .65 - sadness and disgust (remorse)
embarrassed  255   .45 - sadness and disgust (remorse), mild
disgusted    225   .80 - disgust
jealous      212   .60 - disgust and anger (contempt)
annoyed      180   .40 - anger, mild (annoyance)
angry        178   .75 - anger
furious      182   .98 - anger (rage)
"""


def _read(line: str) -> Emotion:
    name, angle, intensity, sign, near = line.split(maxsplit=4)
    return Emotion(name, float(angle), float(intensity), 1 if sign == "+" else -1, near)


EMOTIONS: dict[str, Emotion] = {
    e.name: e for e in (_read(line) for line in _WHEEL.strip().splitlines())
}

PAPER_OPPOSITE: dict[str, str] = {
    "sentimental": "apprehensive",
    "afraid": "angry",
    "proud": "ashamed",
    "faithful": "jealous",
    "terrified": "furious",
    "joyful": "sad",
    "angry": "afraid",
    "sad": "joyful",
    "jealous": "faithful",
    "grateful": "disgusted",
    "prepared": "anxious",
    "embarrassed": "confident",
    "excited": "devastated",
    "annoyed": "apprehensive",
    "lonely": "caring",
    "ashamed": "proud",
    "guilty": "proud",
    "surprised": "anticipating",
    "nostalgic": "hopeful",
    "confident": "embarrassed",
    "furious": "terrified",
    "disappointed": "impressed",
    "caring": "lonely",
    "trusting": "disgusted",
    "disgusted": "trusting",
    "anticipating": "surprised",
    "anxious": "content",
    "hopeful": "nostalgic",
    "content": "anxious",
    "impressed": "disappointed",
    "apprehensive": "annoyed",
    "devastated": "excited",
}


def emotion(name: str) -> Emotion:
    """The emotion called `name`.

    Raises:
        UsageError: EmpatheticDialogues has no such emotion.
    """
    try:
        return EMOTIONS[name]
    except KeyError:
        raise UsageError(
            f"“{name}” is not one of the 32 emotions of EmpatheticDialogues: {', '.join(EMOTIONS)}."
        ) from None
