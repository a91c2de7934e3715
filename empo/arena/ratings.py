"""Ratings that say how sure they are.

Strengths are Bradley–Terry's with Davidson's ties (`bradley_terry`), on the Elo scale: 400 points
are odds of 10 to 1 that the better one wins if one wins, the mean over the models is 1000.
Intervals are 95 %, clustered by voter (`clusters`). Votes “both bad” say nothing about which of two
models is the better one and take no part. Everything is a function of the votes, whatever their
order.

Models that no chain of votes connects cannot be compared: they form groups, each of mean 1000.
Where a model has won (or lost) every vote the likelihood has no maximum; a weak normal prior of
350 points then gives it a finite rating, and the open side of its interval is None. Intervals are
of the distance to the mean of the models that are rated without such help by at least two voters,
so that a newcomer does not blur the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import ceil, sqrt

import numpy as np
from scipy import stats

from empo.arena import bradley_terry, clusters
from empo.arena.bradley_terry import POINTS, Cells, Fit, Floats, Ints
from empo.arena.cells import adjusted_cells, cut, is_identified, plain_cells
from empo.arena.cells import groups as connected
from empo.arena.clusters import Spread
from empo.arena.maximum import Flags, fit_or_prior
from empo.arena.votes import TIE, A, B, Votes

MEAN = 1000.0
_Z_POWER = float(stats.norm.ppf(0.8))
# More votes than this nobody will ever collect; then the answer is None.
MOST_VOTES = 1_000_000
# The advantage of length is stated for a reply twice as long: (2 - 1) / (2 + 1).
TWICE_AS_LONG = 1 / 3


@dataclass(frozen=True, slots=True)
class Standing:
    """One model. `low` or `high` None: the votes do not bound the rating on that side.

    `votes` = wins + losses + ties; votes “both bad” are not among them.
    """

    model: str
    rating: float
    low: float | None
    high: float | None
    wins: int
    losses: int
    ties: int
    votes: int


@dataclass(frozen=True, slots=True)
class Effect:
    """What something other than the model is worth, in Elo points, with its 95 % interval."""

    points: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Contrast:
    """How far `a` is above `b`, in points; `votes_needed` further votes between the two would tell
    them apart with a probability of 80 % if the difference is what it seems (0: they are told
    apart already; None: more than a million, or not known)."""

    a: str
    b: str
    difference: float | None
    low: float | None
    high: float | None
    told_apart: bool
    votes_needed: int | None


@dataclass(frozen=True, slots=True)
class Ratings:
    """Standings (best first, group by group), all contrasts, effects (by name), and caveats."""

    standings: tuple[Standing, ...] = ()
    contrasts: tuple[Contrast, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    effects: dict[str, Effect] = field(default_factory=dict)
    tie_parameter: float | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """Models that are connected by votes, fitted together. `index` (m,) into the votes' models.

    `helped` (m,) marks the models that needed the prior; `anchor` (m,) those whose mean the
    intervals refer to.
    """

    index: Ints
    cells: Cells
    fit: Fit
    spread: Spread
    helped: Flags
    anchor: Flags


def rate(votes: Votes, cells: Cells | None = None) -> Ratings:
    """The plain ratings of `votes`; `cells`: their `plain_cells`, if they are at hand."""
    return _rate(votes, cells or plain_cells(votes), covariates=())


def rate_adjusted(votes: Votes, cells: Cells | None = None) -> Ratings:
    """Ratings with the seat's and the length's share taken out.

    Effects: `side` (being shown on the left, as model_a), and `length` (being twice as long as the
    other). Length enters as (l_a - l_b) / (l_a + l_b), as in LMArena's style control (Li et al.
    2024, “Does style matter?”). Votes without both lengths take no part unless no vote has them.
    """
    known = ~(np.isnan(votes.length_a) | np.isnan(votes.length_b))
    warnings = []
    names: tuple[str, ...] = ("side", "length")
    if not known.any():
        names = ("side",)
        if len(votes):
            warnings.append("No vote says how long the replies were: adjusted for side only.")
    elif not known.all():
        warnings.append(
            f"{int((~known).sum())} of {len(votes)} votes lack a length and are left out of the "
            "adjusted ratings."
        )
        votes, cells = votes.take(known), None
    result = _rate(votes, cells or plain_cells(votes), names)
    return replace(result, warnings=(*warnings, *result.warnings))


def _rate(votes: Votes, plain: Cells, covariates: Sequence[str]) -> Ratings:
    cells, names, warnings = adjusted_cells(votes, covariates, plain)
    groups = connected(plain, len(votes.models))
    fitted = [_fit_group(cells, plain, index) for index in groups if len(index) > 1]
    warnings += _caveats(votes, plain, groups, fitted)
    by_model = {int(i): group for group in fitted for i in group.index}
    tally = _tally(votes)
    rows = [
        sorted(
            (_standing(votes.models[i], int(i), by_model.get(int(i)), tally) for i in index),
            key=lambda row: (-row.rating, row.model),
        )
        for index in groups
    ]
    standings = tuple(row for group in rows for row in group)
    first = fitted[0] if fitted else None
    return Ratings(
        standings=standings,
        contrasts=_contrasts(standings, {name: i for i, name in enumerate(votes.models)}, by_model),
        groups=tuple(tuple(row.model for row in group) for group in rows),
        effects=_effects(first, names) if first else {},
        tie_parameter=None if not first or first.fit.log_nu is None else np.exp(first.fit.log_nu),
        warnings=tuple(warnings),
    )


def _fit_group(cells: Cells, plain: Cells, index: Ints) -> _Group:
    """Fit the models `index`: adjusted (`cells`) if their votes can bear it, else `plain`."""
    part = cut(cells, index)
    if part.covariates.shape[1] and not is_identified(bradley_terry.pooled(part)):
        part = cut(plain, index)
    result, helped = fit_or_prior(part)
    spread = clusters.spread(part, result, bool(helped.any()))
    anchor = _held_together(spread.lost[:, : part.models]) & ~helped
    if anchor.sum() < 2:
        anchor = np.ones(part.models, dtype=bool)
    return _Group(index, part, result, spread, helped, anchor)


def _held_together(lost: Floats) -> Flags:
    """(m,): the largest set of models that no single voter's leaving would tear apart."""
    if not len(lost):
        return np.ones(lost.shape[1], dtype=bool)
    size = np.abs(lost).max(axis=1, keepdims=True)
    shifts = np.round(lost / np.where(size > 0, size, 1), 4).T
    _, label, count = np.unique(shifts, axis=0, return_inverse=True, return_counts=True)
    return label.ravel() == np.argmax(count)


def _tally(votes: Votes) -> Ints:
    """(m, 3): wins, losses and ties of every model."""
    m = len(votes.models)
    counts = [
        [np.bincount(side[votes.outcome == x], minlength=m) for x in (A, B, TIE)]
        for side in (votes.model_a, votes.model_b)
    ]
    left, right = counts
    return np.stack([left[A] + right[B], left[B] + right[A], left[TIE] + right[TIE]], axis=1)


def _standing(name: str, index: int, group: _Group | None, tally: Ints) -> Standing:
    wins, losses, ties = (int(x) for x in tally[index])
    counts = {"wins": wins, "losses": losses, "ties": ties, "votes": wins + losses + ties}
    if group is None:
        return Standing(name, MEAN, None, None, **counts)
    at = int(np.searchsorted(group.index, index))
    rating = MEAN + POINTS * float(group.fit.strength[at])
    weights = np.zeros(group.cells.parameters)
    weights[: group.cells.models][group.anchor] = -1 / group.anchor.sum()
    weights[at] += 1
    margin = _margin(group, weights, int(group.spread.voters[at]), bool(group.helped[at]))
    low = None if margin is None or wins + ties == 0 else rating - margin
    high = None if margin is None or losses + ties == 0 else rating + margin
    return Standing(name, rating, low, high, **counts)


def _covariance(group: _Group, helped: bool) -> Floats:
    cautious = group.spread.cautious
    return cautious if helped and cautious is not None else group.spread.jackknife


def _margin(group: _Group, weights: Floats, voters: int, helped: bool) -> float | None:
    """Half the interval of weights·(theta, beta, log nu), in points; None if it is not known.

    Never less than if all votes were independent: few voters who happen to agree prove nothing.
    """
    if voters < 2 or (not helped and bool((np.abs(group.spread.lost @ weights) > 1e-6).any())):
        return None
    clustered = float(weights @ _covariance(group, helped) @ weights)
    independent = float(weights @ group.spread.model_based @ weights)
    margin = clusters.quantile(voters) * sqrt(max(clustered, 0.0))
    return POINTS * max(margin, clusters.Z * sqrt(max(independent, 0.0)))


def _contrasts(
    standings: Sequence[Standing], index: dict[str, int], by_model: dict[int, _Group]
) -> tuple[Contrast, ...]:
    """All pairs, the better one as `a`."""
    out = []
    for k, upper in enumerate(standings):
        for lower in standings[k + 1 :]:
            group = by_model.get(index[upper.model])
            if group is None or group is not by_model.get(index[lower.model]):
                out.append(Contrast(upper.model, lower.model, None, None, None, False, None))
            else:
                ends = np.searchsorted(group.index, [index[upper.model], index[lower.model]])
                out.append(_contrast(upper, lower, group, int(ends[0]), int(ends[1])))
    return tuple(out)


def _contrast(upper: Standing, lower: Standing, group: _Group, i: int, j: int) -> Contrast:
    weights = np.zeros(group.cells.parameters)
    weights[i], weights[j] = 1, -1
    difference = upper.rating - lower.rating
    helped = bool(group.helped[[i, j]].any())
    margin = _margin(group, weights, int(group.spread.voters[[i, j]].min()), helped)
    names = (upper.model, lower.model)
    if margin is None:
        return Contrast(*names, difference, None, None, False, None)
    # A model that never lost (or won) has no upper (lower) limit, and neither has its lead.
    open_above = upper.high is None or lower.low is None
    low, high = difference - margin, None if open_above else difference + margin
    if low > 0:
        return Contrast(*names, difference, low, high, True, 0)
    independent = float(weights @ group.spread.model_based @ weights)
    clustered = max(float(weights @ _covariance(group, helped) @ weights), independent)
    needed = votes_needed(difference / POINTS, clustered, independent, group.fit.log_nu)
    return Contrast(*names, difference, low, high, False, needed)


def votes_needed(
    difference: float, variance: float, model_variance: float, log_nu: float | None
) -> int | None:
    """Further votes between two models until 95 % intervals tell them apart with power 0.8.

    The variance of a difference d has to fall to (d / (z.975 + z.8))²; a vote on the pair adds the
    information h of one vote at d, divided by the design effect (clustered variance over that of
    independent votes, at least 1): n = deff (1/target - 1/variance) / h. `difference` and the
    variances are in logarithms. None if that is more than a million.
    """
    if abs(difference) < 1e-9 or variance <= 0:
        return None
    target = (difference / (clusters.Z + _Z_POWER)) ** 2
    win, loss, _ = bradley_terry.probabilities(np.array([difference]), log_nu)
    each = float((win + loss - (win - loss) ** 2)[0]) / 4
    design = max(1.0, variance / model_variance) if model_variance > 0 else 1.0
    needed = design * (1 / target - 1 / variance) / each
    return max(1, ceil(needed)) if needed <= MOST_VOTES else None


def _effects(group: _Group, names: Sequence[str]) -> dict[str, Effect]:
    voters = len(np.unique(group.cells.voter))
    out = {}
    for k, name in enumerate(names):
        size = TWICE_AS_LONG if name == "length" else 1.0
        weights = np.zeros(group.cells.parameters)
        weights[group.cells.models + k] = 1
        margin = _margin(group, weights, voters, bool(group.helped.all()))
        points = POINTS * float(group.fit.coefficients[k]) * size
        ends = (None, None) if margin is None else (points - margin * size, points + margin * size)
        out[name] = Effect(points, *ends)
    return out


def _caveats(
    votes: Votes, plain: Cells, groups: Sequence[Ints], fitted: Sequence[_Group]
) -> list[str]:
    """One sentence for each thing that a reader of the ratings has to know."""
    told = []
    if len(groups) > 1:
        listed = "; ".join(", ".join(votes.models[i] for i in group) for group in groups)
        told.append(
            f"No chain of votes connects these groups of models: {listed}. Each group has its own "
            "mean of 1000, and ratings of different groups cannot be compared."
        )
    if len(plain.first) and len(np.unique(plain.voter)) < 2:
        told.append("All votes are one person's: there are no intervals, whoever else may differ.")
        return told + [_prior_caveat(votes, group) for group in fitted if group.helped.any()]
    if len(plain.first) and plain.ties.sum() == plain.votes.sum():
        told.append("Every vote is a tie: nothing tells the models apart.")
    told += [_prior_caveat(votes, group) for group in fitted if group.helped.any()]
    alone = [
        votes.models[i] for group in fitted for i in group.index[~group.anchor & ~group.helped]
    ]
    if alone:
        told.append(
            "Without one single voter these could not be placed, so they have no interval: "
            f"{', '.join(alone)}."
        )
    return told


def _prior_caveat(votes: Votes, group: _Group) -> str:
    tally = _tally(votes)[group.index]
    names = [votes.models[i] for i in group.index]
    won = [name for name, row in zip(names, tally, strict=True) if row[1] + row[2] == 0]
    lost = [name for name, row in zip(names, tally, strict=True) if row[0] + row[2] == 0]
    why = []
    if won:
        why.append(f"{', '.join(won)} won every vote")
    if lost:
        why.append(f"{', '.join(lost)} lost every vote")
    reason = " and ".join(why) or f"the votes do not bound the ratings of {', '.join(names)}"
    helped = ", ".join(votes.models[i] for i in group.index[group.helped])
    return (
        f"Maximum likelihood has no finite answer ({reason}): a weak prior of 350 points keeps the "
        f"rating of {helped} finite, and it will move much with the next votes."
    )
