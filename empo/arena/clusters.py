"""Uncertainty when one person votes many times: everything is clustered by voter.

Two votes of one person are not two independent votes. Ratings get the delete-one-voter jackknife
(CR3 of Bell and McCaffrey, Survey Methodology 28, 2002), which stays honest with few voters where
the usual sandwich is too narrow; shares get the interval of Korn and Graubard (Survey Methodology
24, 1998). Quantiles are Student's t with one degree of freedom less than there are voters.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import stats

from empo.arena.bradley_terry import (
    Cells,
    Curvature,
    Fit,
    Floats,
    Ints,
    curvature,
    full_parameters,
    information,
    scores,
)

CONFIDENCE = 0.95
# Numbers held at once while the voters' matrices are made: 32 MB.
_CHUNK = 4_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """How sure a fit is: covariances (q, q) of (theta, beta, log nu), in squared logarithms.

    `jackknife` is clustered by voter; `model_based` is what it would be if all votes were
    independent; `cautious` is the same with every voter counted as one vote per pair of models, for
    where a prior had to help and residuals say nothing (None if not asked for). `lost` (k, q) are
    the directions that cannot be estimated without some single voter; `voters` (m,) counts each
    model's voters.
    """

    jackknife: Floats
    model_based: Floats
    cautious: Floats | None
    lost: Floats
    voters: Ints


def spread(cells: Cells, result: Fit, helped: bool = False) -> Spread:
    """How sure `result`, a fit of `cells`, is; `helped` by a prior or not."""
    bend = curvature(cells, full_parameters(result))
    basis = result.basis
    jackknife, lost = _jackknife(cells, bend, result)
    return Spread(
        basis @ jackknife @ basis.T,
        basis @ np.linalg.inv(result.information) @ basis.T,
        _cautious(cells, bend, result) if helped else None,
        lost,
        _voters_per_model(cells),
    )


def _cautious(cells: Cells, bend: Curvature, result: Fit) -> Floats:
    once = information(cells, _scaled(bend, 1 / _repeats(cells)))[0]
    # The prior's part of the information stays as it is.
    less = once - information(cells, bend)[0]
    inner = result.information + result.basis.T @ less @ result.basis
    return result.basis @ np.linalg.inv(inner) @ result.basis.T


def _scaled(bend: Curvature, weight: Floats) -> Curvature:
    names = ("slope", "tie_slope", "eta", "cross", "tie")
    return Curvature(*(getattr(bend, name) * weight for name in names))


def _jackknife(cells: Cells, bend: Curvature, result: Fit) -> tuple[Floats, Floats]:
    """Sum over voters of the squared one-step change (H - H_g)^-1 s_g when g is left out.

    Returns that (p, p), times (G - 1) / G, and the directions (k, q) that some voter alone holds.
    """
    basis, p = result.basis, result.basis.shape[1]
    root = np.linalg.cholesky(result.information)
    # In these coordinates the information of all votes is the identity.
    to_unit = np.linalg.solve(root, basis.T)
    starts = np.flatnonzero(np.diff(cells.voter, prepend=-1))
    voters = len(starts)
    step = max(1, _CHUNK // cells.parameters**2)
    total, lost = np.zeros((p, p)), [np.zeros((0, len(basis)))]
    for begin in range(0, voters, step):
        end = min(begin + step, voters)
        here = slice(starts[begin], starts[end] if end < voters else len(cells.voter))
        part, part_bend, group = _cut(cells, bend, here)
        s = scores(part, part_bend, group, end - begin) @ to_unit.T
        h = to_unit @ information(part, part_bend, group, end - begin) @ to_unit.T
        change, gone = _leave_out(s, h)
        total += change.T @ change
        lost.append((basis @ np.linalg.solve(root.T, gone.T)).T)
    back = np.linalg.inv(root)
    return back.T @ total @ back * (voters - 1) / voters, np.concatenate(lost)


def _cut(cells: Cells, bend: Curvature, here: slice) -> tuple[Cells, Curvature, Ints]:
    """The cells in `here`, their curvature, and their voters numbered from 0."""
    names = ("first", "second", "wins", "losses", "ties", "voter", "covariates")
    part = Cells(cells.models, *(getattr(cells, name)[here] for name in names))
    bends = Curvature(
        *(getattr(bend, name)[here] for name in ("slope", "tie_slope", "eta", "cross", "tie"))
    )
    if part.has_ties != cells.has_ties:  # no tie in this part, but log nu is still a parameter
        part = _TieCells(cells.models, *(getattr(part, name) for name in names))
    return part, bends, np.cumsum(np.diff(part.voter, prepend=part.voter[:1]) != 0)


class _TieCells(Cells):
    """Cells without a tie, of a model that has them."""

    @property
    def has_ties(self) -> bool:
        return True


def _leave_out(s: Floats, h: Floats) -> tuple[Floats, Floats]:
    """The changes (G, p), and the directions (k, p) that vanish when one voter is left out."""
    p = s.shape[1]
    change = np.empty_like(s)
    trace = np.trace(h, axis1=1, axis2=2)
    easy = trace < 0.9  # then no eigenvalue can reach 1
    change[easy] = np.linalg.solve(np.eye(p) - h[easy], s[easy][..., None])[..., 0]
    values, vectors = np.linalg.eigh(h[~easy])
    gone = values > 1 - 1e-8
    inverse = np.where(gone, 0.0, 1 / np.where(gone, 1.0, 1 - values))
    turned = np.einsum("gij,gi->gj", vectors, s[~easy])
    change[~easy] = np.einsum("gij,gj->gi", vectors, turned * inverse)
    return change, vectors.transpose(0, 2, 1)[gone]


def _repeats(cells: Cells) -> Floats:
    """How many votes the voter of each cell gave on the cell's pair of models (K,)."""
    low = np.minimum(cells.first, cells.second)
    high = np.maximum(cells.first, cells.second)
    key = (cells.voter * cells.models + low) * cells.models + high
    _, inverse = np.unique(key, return_inverse=True)
    return np.bincount(inverse, cells.votes)[inverse]


def _voters_per_model(cells: Cells) -> Ints:
    judged = np.zeros((int(cells.voter.max(initial=0)) + 1, cells.models), dtype=bool)
    judged[cells.voter, cells.first] = judged[cells.voter, cells.second] = True
    return judged.sum(axis=0)


# Of the normal distribution: what an interval takes if votes are independent.
Z = float(stats.norm.ppf((1 + CONFIDENCE) / 2))


@cache
def quantile(voters: int) -> float:
    """Student's t quantile of a two-sided 95 % interval, one degree less than `voters` (>= 2)."""
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, voters - 1))


def share(hits: Floats, voter: Ints) -> dict[str, float | int | None]:
    """The mean of `hits` (n,), each in 0..1, with an interval clustered by `voter` (n,).

    Returns `{"share", "low", "high", "votes"}`; all None but `votes` if there is none, and no
    interval if there is one voter only. The exact binomial interval is taken at the effective
    number of votes (Korn and Graubard 1998); where all votes agree, a voter counts as one vote.
    """
    n = len(hits)
    if n == 0:
        return {"share": None, "low": None, "high": None, "votes": 0}
    voters, mean = int(np.count_nonzero(np.bincount(voter))), float(np.mean(hits))
    if voters < 2:
        return {"share": mean, "low": None, "high": None, "votes": n}
    left = np.bincount(voter, hits - mean)
    variance = voters / (voters - 1) * float(left @ left) / n**2
    effective = min(mean * (1 - mean) / variance, n) if variance > 0 else min(voters, n)
    effective *= (stats.t.ppf(0.975, n - 1) / quantile(voters)) ** 2
    x = mean * effective
    tail = (1 - CONFIDENCE) / 2
    low = stats.beta.ppf(tail, x, effective - x + 1) if x > 0 else 0.0
    high = stats.beta.ppf(1 - tail, x + 1, effective - x) if x < effective else 1.0
    return {"share": mean, "low": float(low), "high": float(high), "votes": n}
