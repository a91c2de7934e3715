"""Differences in valence, arousal and dominance between what was said and the reply.

As in the code of Lee et al. 2022 that EmPO uses, with the NRC VAD lexicon (Mohammad 2018): the
largest value of a text's tokens, the prompt's minus the reply's; likewise the means. That code
gives unknown words 0, the most *negative* value there is, and about 70 % of the tokens are unknown:
the largest value suffers little, the mean becomes mostly a count of unknown words. So each comes
twice, as published and over known words only (`known_…`), with the share of known tokens.

Intensity is the same difference of largest values with the NRC Emotion Intensity lexicon (Mohammad
2018), one number 0..1 a word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

Entry = tuple[float, float, float]
Find = Callable[[str], Entry | None]
"""A word's valence, arousal and dominance, each 0..1; None for an unknown word."""
AXES = ("v", "a", "d")


def differences(prompt: Sequence[str], reply: Sequence[str], find: Find) -> dict[str, float | None]:
    """All VAD figures of one pair of texts, given in lower-cased tokens; None is *not measured*.

    `diff_max_v`: largest valence of the prompt minus that of the reply; `mean_abs_v` its absolute
    value; `diff_mean_v`: the same of means; `known_v`: mean over the reply's known words.
    """
    said = [found for word in prompt if (found := find(word))]
    answered = [found for word in reply if (found := find(word))]
    figures: dict[str, float | None] = {
        "known_share": len(answered) / len(reply) if reply else None
    }
    for axis, name in enumerate(AXES):
        a, b = [entry[axis] for entry in said], [entry[axis] for entry in answered]
        largest = max(a, default=0.0) - max(b, default=0.0)
        known = bool(a and b)
        figures |= {
            f"diff_max_{name}": largest,
            f"mean_abs_{name}": abs(largest),
            f"diff_mean_{name}": _mean(a, len(prompt)) - _mean(b, len(reply)),
            f"known_diff_max_{name}": largest if known else None,
            f"known_diff_mean_{name}": _mean(a, len(a)) - _mean(b, len(b)) if known else None,
            f"known_{name}": _mean(b, len(b)) if b else None,
        }
    return figures


def intensity(
    prompt: Sequence[str], reply: Sequence[str], lexicon: Mapping[str, float]
) -> dict[str, float | None]:
    """`diff_max_intensity` with unknown words 0, and only where both texts have a known word."""
    said = [lexicon[word] for word in prompt if word in lexicon]
    answered = [lexicon[word] for word in reply if word in lexicon]
    largest = max(said, default=0.0) - max(answered, default=0.0)
    return {
        "diff_max_intensity": largest,
        "known_diff_max_intensity": largest if said and answered else None,
    }


def _mean(values: Sequence[float], count: int) -> float:
    return sum(values) / count if count else 0.0
