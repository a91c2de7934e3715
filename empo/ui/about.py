"""What this is, on the page itself: method, data, licences, limits, what is kept, how to cite."""

from __future__ import annotations

from empo.models.stacks import Stack

_TEXT = """
## What you are looking at

A language model can learn to answer with empathy in steps, and here you meet one model at several
of them, side by side. All voices share one base; each is that base with a small set of learnt
weights (a LoRA adapter) laid over it, and all of them answer your message in the same pass, with
the same settings and the same seed.

- **Base**: before any empathy training. In the paper's 7B stack even the base is already a chat
  model, tuned on instructions (UltraChat); only the embedded *nano* base is a plain one.
- **SFT**, taught by examples: it has read human listeners' replies in EmpatheticDialogues.
- **DPO**, taught by preferences: it has seen pairs of replies, the human one preferred over one
  from a dialogue of the *opposite emotion* on Plutchik's wheel.

The method is that of *EmPO: Emotion Grounding for Empathetic Response Generation through Preference
Optimization* (Sotolar, Formanek, Debnath, Lahnala, Welch, Flek; arXiv 2406.19071).

- **Dial**: a blend of the weights of SFT and DPO, as far between them (or beyond DPO) as you set
  it over its column. It was never trained at that place: it shows what lies on the way.

## What the charts show

*Empathy*, the three mechanisms of EPITOME (Sharma et al. 2020), read by a small encoder that
learnt from online support threads. *Valence*, how pleasant or unpleasant the words are, by VADER
(Hutto and Gilbert 2014), a word list made for English; *arousal*, how calm or excited, where the
NRC VAD lexicon (Mohammad 2018) has been fetched. Word lists do not understand irony or context, and
give most texts in other languages no value at all: then the chart has a gap, *not measured*. More
pleasant, or more of a mechanism, is not more empathetic, and one reply proves little.

## Limits

A research demo. It is no therapist and gives no advice; it forgets, contradicts itself, can hurt.
The embedded models have 8.5 million parameters, about a thousandth of a current assistant: they
show the *differences* that training makes, not what a good listener is. English only.

## What is kept

Compare stores nothing on the server. Your conversation lives in the memory of your session (gone an
hour after you leave) and in this browser tab, so that a reload does not lose it; it ends with the
tab. Downloads are made in your browser. One cookie with a random name lets a vote be counted once;
it says nothing else about you, and no address is kept.

## Data and licences

EmpatheticDialogues (Rashkin et al. 2019), CC BY-NC 4.0; the embedded base also learnt from further
public dialogue corpora, listed in its model card. So the embedded models are for **non-commercial
research and demonstration**. The code is Apache-2.0.

## If you are not well

[findahelpline.com](https://findahelpline.com) lists free and confidential lines in over 130
countries. In an emergency, call your local emergency number.

## Cite

> Sotolar, O., Formanek, V., Debnath, A., Lahnala, A., Welch, C., & Flek, L. (2024). *EmPO: Emotion
> Grounding for Empathetic Response Generation through Preference Optimization.* arXiv:2406.19071.
"""


def about(stack: Stack) -> str:
    """The text, with the live stack's own words in front."""
    return f"{_TEXT}\n## The models behind this page\n\n**{stack.title}.** {stack.about}\n"
