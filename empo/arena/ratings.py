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
from math import ceil, log, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from empo.arena import bradley_terry, clusters
from empo.arena.bradley_terry import Cells, Fit, Floats, Ints
from empo.arena.clusters import Spread
from empo.arena.votes import BOTH_BAD, TIE, A, B, Votes

Flags = NDArray[np.bool_]

POINTS = 400 / log(10)  # Elo points in one natural logarithm of the odds
MEAN = 1000.0
PRIOR_SD = 350 / POINTS
_Z_POWER = float(stats.norm.ppf(0.8))
# More votes than this nobody will ever collect; then the answer is None.
MOST_VOTES = 1_000_000
# The relaxed rule of thumb of Vittinghoff and McCulloch (Am. J. Epidemiol. 165, 2007).
VOTES_PER_PARAMETER = 5
# Up to this many (voter, model, model) cells are counted in one table.
_DENSE = 20_000_000
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


def plain_cells(votes: Votes) -> Cells:
    """Votes (without both bad) counted by voter and pair: K cells, the lower index first."""
    rows = votes.outcome != BOTH_BAD
    a, b, outcome = votes.model_a[rows], votes.model_b[rows], votes.outcome[rows]
    m = max(len(votes.models), 1)
    first, second = np.minimum(a, b), np.maximum(a, b)
    key = (votes.voter[rows] * m + first) * m + second
    won = np.where(a < b, outcome == A, outcome == B)
    tied = outcome == TIE
    size = (int(votes.voter.max(initial=0)) + 1) * m * m
    if size > _DENSE:
        used, key = np.unique(key, return_inverse=True)
        size = len(used)
    else:
        used = np.flatnonzero(np.bincount(key, minlength=size))
    counts = [np.bincount(key, x, size) for x in (won, ~won & ~tied, tied)]
    if size > len(used):
        counts = [count[used] for count in counts]
    none = np.zeros((len(used), 0))
    return Cells(m, used // m % m, used % m, *counts, used // m**2, none)


def _seat_cells(votes: Votes) -> Cells:
    """One cell a vote, model_a first, with the covariates side and length (K, 2); by voter."""
    rows = np.flatnonzero(votes.outcome != BOTH_BAD)
    m = max(len(votes.models), 1)
    key = (votes.voter[rows] * m + votes.model_a[rows]) * m + votes.model_b[rows]
    rows = rows[np.argsort(key, kind="stable")]
    left, right = votes.length_a[rows], votes.length_b[rows]
    # To two decimals: the same within any error, and votes can be counted together.
    length = np.round((left - right) / np.maximum(left + right, 1), 2)
    counts = [(votes.outcome[rows] == x).astype(float) for x in (A, B, TIE)]
    covariates = np.stack([np.ones(len(rows)), length], axis=1)
    names = (votes.model_a[rows], votes.model_b[rows])
    return Cells(m, *names, *counts, votes.voter[rows], covariates)


def _rate(votes: Votes, plain: Cells, covariates: Sequence[str]) -> Ratings:
    cells, names, warnings = _identified(votes, covariates, plain)
    groups = _groups(plain, len(votes.models))
    fitted = [_fit_group(cells, index) for index in groups if len(index) > 1]
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


def _identified(
    votes: Votes, names: Sequence[str], plain: Cells
) -> tuple[Cells, list[str], list[str]]:
    """The cells with those covariates that the votes can speak of, their names, and caveats."""
    kept: list[str] = []
    told: list[str] = []
    groups = _groups(plain, len(votes.models))
    if not names or not len(plain.first):
        return plain, kept, told
    enough = VOTES_PER_PARAMETER * (len(groups[0]) + len(names))
    if plain.votes.sum() < enough:
        told.append(f"Fewer than {enough} votes: too few to adjust for {' and '.join(names)}.")
        return plain, kept, told
    seats = _seat_cells(votes)
    few = bradley_terry.pooled(_cut(seats, groups[0]))
    columns: list[int] = []
    for name in names:
        column = ("side", "length").index(name)
        if _is_identified(replace(few, covariates=few.covariates[:, [*columns, column]])):
            kept.append(name)
            columns.append(column)
        else:
            told.append(f"The effect of {name} cannot be told from that of the models: left out.")
    cells = replace(seats, covariates=seats.covariates[:, columns]) if kept else plain
    return cells, kept, told


def _is_identified(cells: Cells) -> bool:
    flat = replace(cells, wins=cells.votes, losses=0 * cells.votes, ties=0 * cells.votes)
    basis = bradley_terry.free_basis(flat)
    bend = bradley_terry.curvature(flat, np.zeros(flat.parameters))
    values = np.linalg.eigvalsh(basis.T @ bradley_terry.information(flat, bend)[0] @ basis)
    return bool(values[0] > 1e-9 * values[-1])


def _groups(cells: Cells, models: int) -> list[Ints]:
    """Models connected by votes, largest group first (then by name)."""
    if models == 0:
        return []
    links = coo_array((cells.votes, (cells.first, cells.second)), shape=(models, models))
    count, label = connected_components(links, directed=False)
    groups = [np.flatnonzero(label == g) for g in range(count)]
    return sorted(groups, key=lambda g: (-len(g), int(g[0])))


def _cut(cells: Cells, index: Ints) -> Cells:
    """The cells of the models `index` only, numbered from 0."""
    if len(index) == cells.models:
        return cells
    rows = np.isin(cells.first, index)
    part = {
        name: getattr(cells, name)[rows]
        for name in ("wins", "losses", "ties", "voter", "covariates")
    }
    first = np.searchsorted(index, cells.first[rows])
    second = np.searchsorted(index, cells.second[rows])
    return Cells(len(index), first, second, **part)


def fit_or_prior(cells: Cells) -> tuple[Fit, Flags]:
    """The maximum of the likelihood or, where there is none, of a posterior; who was helped (m,).

    If it is only that some models won, or lost, every vote, only those get a prior, around the mean
    of the others; otherwise every parameter gets one.
    """
    nobody = np.zeros(cells.models, dtype=bool)
    cells = bradley_terry.pooled(cells)
    plain = replace(cells, covariates=cells.covariates[:, :0])
    if bradley_terry.is_bounded(plain):
        result = bradley_terry.fit(cells)
        if result.finite:
            return result, nobody
    extreme = _extreme(cells)
    core = np.flatnonzero(~extreme)
    if extreme.any() and len(core) > 1 and _is_core(plain, core):
        away = np.eye(cells.models)[extreme]
        away[:, core] -= 1 / len(core)
        precision = np.zeros((cells.parameters, cells.parameters))
        precision[: cells.models, : cells.models] = away.T @ away / PRIOR_SD**2
        result = bradley_terry.fit(cells, precision)
        if result.finite:
            return result, extreme
    return bradley_terry.fit(cells, np.eye(cells.parameters) / PRIOR_SD**2), ~nobody


def _extreme(cells: Cells) -> Flags:
    """(m,): models that have won every vote, or lost every vote."""
    won, lost = (
        np.bincount(cells.first, ahead + cells.ties, cells.models)
        + np.bincount(cells.second, behind + cells.ties, cells.models)
        for ahead, behind in ((cells.wins, cells.losses), (cells.losses, cells.wins))
    )
    return (won == 0) | (lost == 0)


def _is_core(cells: Cells, core: Ints) -> bool:
    """Whether the models `core` are connected among themselves, and their ratings bounded."""
    inside = np.isin(cells.first, core) & np.isin(cells.second, core)
    names = ("first", "second", "wins", "losses", "ties", "voter", "covariates")
    among = Cells(cells.models, *(getattr(cells, name)[inside] for name in names))
    groups = _groups(among, cells.models)
    return len(groups[0]) == len(core) and bradley_terry.is_bounded(_cut(among, core))


def _fit_group(cells: Cells, index: Ints) -> _Group:
    part = _cut(cells, index)
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
