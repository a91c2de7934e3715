"""Do people agree? Krippendorff's alpha, and the paper's human evaluation.

Alpha = 1 - D_o / D_e (Krippendorff, Content Analysis, 2004, chapter 11): 1 is perfect agreement, 0
what chance would give. Units judged once say nothing and are left out. Both closed forms below take
time and memory in proportion to the number of ratings.

The human evaluation of EmPO (arXiv 2406.19071) has raters give several systems' replies to the
same items a number on each of some dimensions. Systems are compared on per-item means: Cohen's d
with the pooled sd of those means, the paired t-test over items, and, because raters differ far more
than systems do, an interval of the mean difference from resampling whole raters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from empo.arena.votes import A, B, Votes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DRAWS = 2000
# Numbers held at once while bootstrap draws are made: 16 MB.
_CHUNK = 2_000_000


@dataclass(frozen=True, slots=True, eq=False)
class HumanRatings:
    """n rows: rater `rater` gave system `system`'s reply to `item` the `values` (n, D).

    Names are sorted tuples, the (n,) arrays indices into them; NaN is *not rated*.
    """

    items: tuple[str, ...]
    systems: tuple[str, ...]
    raters: tuple[str, ...]
    dimensions: tuple[str, ...]
    item: Ints
    system: Ints
    rater: Ints
    values: Floats


def nominal_alpha(unit: Ints, value: Ints) -> float | None:
    """Alpha of categories `value` (n,) given to `unit` (n,); None if nothing can be said.

    Nothing can be said if no unit was judged twice or all judgements are the same.
    """
    unit, value = _pairable(unit, value)
    if not len(unit):
        return None
    value = np.unique(value, return_inverse=True)[1]
    total = np.bincount(value)
    expected = len(unit) ** 2 - float(total @ total)
    if expected == 0:
        return None
    _, inverse, same = np.unique(unit * len(total) + value, return_inverse=True, return_counts=True)
    size = np.bincount(unit)
    # A judgement's disagreements within its unit, per other judgement of the unit.
    observed = float(((size[unit] - same[inverse]) / (size[unit] - 1)).sum())
    return 1 - (len(unit) - 1) * observed / expected


def interval_alpha(unit: Ints, value: Floats) -> float | None:
    """Alpha of numbers `value` (n,) with squared differences; None as for `nominal_alpha`."""
    known = ~np.isnan(value)
    unit, value = _pairable(unit[known], value[known])
    if not len(unit):
        return None
    value = value - value.mean()
    expected = 2 * len(unit) * float(value @ value)
    if expected <= 1e-12 * len(unit) ** 2:
        return None
    size = np.bincount(unit)
    deviation = value - (np.bincount(unit, value) / size)[unit]
    # Sum over ordered pairs of a unit of squared differences = 2 n_u times the sum of squares.
    observed = float((2 * size[unit] * deviation**2 / (size[unit] - 1)).sum())
    return 1 - (len(unit) - 1) * observed / expected


def _pairable(unit: Ints, value: NDArray[Any]) -> tuple[Ints, NDArray[Any]]:
    """Only units judged at least twice, numbered from 0."""
    counts = np.bincount(unit, minlength=1)
    keep = counts[unit] > 1
    return np.unique(unit[keep], return_inverse=True)[1], value[keep]


def voter_agreement(votes: Votes) -> dict[str, float | int | None]:
    """`{"alpha", "units", "votes"}` between voters who judged the same pair of replies.

    Nominal, over four answers: this one is better, that one is better, tie, both bad.
    """
    m = max(len(votes.models), 1)
    swapped = votes.model_a > votes.model_b
    low = np.where(swapped, votes.model_b, votes.model_a)
    high = np.where(swapped, votes.model_a, votes.model_b)
    answer = np.where(swapped & (votes.outcome <= B), B - votes.outcome + A, votes.outcome)
    _, unit = np.unique((votes.item * m + low) * m + high, return_inverse=True)
    sizes = np.bincount(unit, minlength=1)
    return {
        "alpha": nominal_alpha(unit, answer),
        "units": int((sizes > 1).sum()),
        "votes": int(sizes[sizes > 1].sum()),
    }


def compare_systems(ratings: HumanRatings, seed: int = 0, draws: int = DRAWS) -> dict[str, Any]:
    """`{"dimensions": {D: {"systems": {S: {"mean", "sd", "n"}}, "alpha", "pairs": [...]}}}`.

    mean and sd (n - 1) over per-item means, n items; alpha interval with (item, system) as units;
    each pair `{"a", "b", "d", "p", "p_holm", "low", "high"}`: d = (mean_a - mean_b) / pooled sd of
    the item means; p two-sided, of the paired t-test over the items both have; p_holm corrected
    over all pairs and dimensions (Holm, Scand. J. Stat. 6, 1979); low and high the 95 % interval of
    the mean difference a - b over those items, raters resampled `draws` times from `seed`. None is
    *cannot be said* (one item, one rater, no spread).
    """
    width = len(ratings.systems)
    unit = ratings.item * width + ratings.system
    weights = _resampled(len(ratings.raters), draws, seed)
    dimensions: dict[str, Any] = {}
    for k, name in enumerate(ratings.dimensions):
        value = ratings.values[:, k]
        means = _item_means(unit, value, len(ratings.items), width)
        boots = _bootstrap_differences(ratings, value, weights)
        dimensions[name] = {
            "systems": {s: _summary(means[:, j]) for j, s in enumerate(ratings.systems)},
            "alpha": interval_alpha(unit, value),
            "pairs": [
                _pair(means[:, i], means[:, j], ratings.systems[i], ratings.systems[j], boot)
                for (i, j), boot in zip(combinations(range(width), 2), boots, strict=True)
            ],
        }
    pairs = [pair for entry in dimensions.values() for pair in entry["pairs"]]
    for pair, corrected in zip(pairs, holm([pair["p"] for pair in pairs]), strict=True):
        pair["p_holm"] = corrected
    return {"dimensions": dimensions}


def holm(p: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction; None (no test) stays None and does not count."""
    order = sorted((i for i, x in enumerate(p) if x is not None), key=lambda i: p[i])
    out: list[float | None] = [None] * len(p)
    worst = 0.0
    for rank, i in enumerate(order):
        worst = max(worst, min(1.0, (len(order) - rank) * p[i]))
        out[i] = worst
    return out


def _item_means(unit: Ints, value: Floats, items: int, systems: int) -> Floats:
    """(items, systems), NaN where there is no rating."""
    known = ~np.isnan(value)
    size = items * systems
    count = np.bincount(unit[known], minlength=size)
    total = np.bincount(unit[known], value[known], size)
    with np.errstate(invalid="ignore"):
        return (total / np.where(count, count, np.nan)).reshape(items, systems)


def _summary(means: Floats) -> dict[str, float | int | None]:
    means = means[~np.isnan(means)]
    return {
        "mean": float(means.mean()) if len(means) else None,
        "sd": float(means.std(ddof=1)) if len(means) > 1 else None,
        "n": len(means),
    }


def _pair(left: Floats, right: Floats, a: str, b: str, boot: Floats) -> dict[str, Any]:
    """One pair of systems from their item means (items,) and the bootstrapped differences."""
    x, y = left[~np.isnan(left)], right[~np.isnan(right)]
    d = None
    if len(x) > 1 and len(y) > 1:
        squares = (len(x) - 1) * x.var(ddof=1) + (len(y) - 1) * y.var(ddof=1)
        sd = np.sqrt(squares / (len(x) + len(y) - 2))
        d = float((x.mean() - y.mean()) / sd) if sd > 0 else None
    low, high = (float(q) for q in np.quantile(boot, [0.025, 0.975])) if len(boot) else (None, None)
    return {"a": a, "b": b, "d": d, "p": _paired_p(left - right), "low": low, "high": high}


def _paired_p(difference: Floats) -> float | None:
    """Two-sided p of the paired t-test on (items,) differences, NaN left out."""
    difference = difference[~np.isnan(difference)]
    scale = np.abs(difference).max(initial=0.0)
    if len(difference) < 2 or np.ptp(difference) <= 1e-12 * scale:
        return None
    return float(stats.ttest_1samp(difference, 0.0).pvalue)


def _resampled(raters: int, draws: int, seed: int) -> Floats:
    """(draws, raters): how often each rater is in each resample; none with one rater only."""
    if raters < 2:
        return np.zeros((0, raters))
    rng = np.random.default_rng(seed)
    return rng.multinomial(raters, np.full(raters, 1 / raters), size=draws).astype(float)


def _bootstrap_differences(ratings: HumanRatings, value: Floats, weights: Floats) -> list[Floats]:
    """For each pair of systems the mean difference over their common items in every resample.

    A resample in which the two have no item in common is left out.
    """
    from scipy.sparse import coo_array

    items, systems = len(ratings.items), len(ratings.systems)
    known = ~np.isnan(value)
    unit = (ratings.item * systems + ratings.system)[known]
    shape = (len(ratings.raters), items * systems)
    total = coo_array((value[known], (ratings.rater[known], unit)), shape=shape).tocsr()
    count = coo_array((np.ones(len(unit)), (ratings.rater[known], unit)), shape=shape).tocsr()
    pairs = list(combinations(range(systems), 2))
    out: list[list[Floats]] = [[] for _ in pairs]
    step = max(1, _CHUNK // max(1, items * systems))
    for start in range(0, len(weights), step):
        part = weights[start : start + step]
        n = part @ count
        with np.errstate(invalid="ignore", divide="ignore"):
            means = ((part @ total) / np.where(n > 0, n, np.nan)).reshape(-1, items, systems)
        for slot, (i, j) in zip(out, pairs, strict=True):
            difference = means[:, :, i] - means[:, :, j]
            common = ~np.isnan(difference)
            some = common.any(axis=1)
            sums = np.where(common, difference, 0.0).sum(axis=1)
            slot.append(sums[some] / common.sum(axis=1)[some])
    return [np.concatenate(slot) if slot else np.zeros(0) for slot in out]
