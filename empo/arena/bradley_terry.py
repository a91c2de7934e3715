"""Bradley–Terry with Davidson's ties, by maximum likelihood.

With eta = theta_i - theta_j + x·beta (x: what else may sway the vote, such as the seat),

    P(i wins) : P(j wins) : P(tie)  =  exp(eta/2) : exp(-eta/2) : nu

which is the model of Bradley and Terry (Biometrika 39, 1952) with the tie rule of Davidson
(J. Am. Stat. Assoc. 65, 1970, 317-328): a tie is the likelier the closer the two are, and says as
much as half a win for each. Without ties it is the plain model. The log-likelihood is concave in
(theta, beta, log nu), so Newton's method finds the maximum wherever there is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

POINTS = 400 / log(10)  # Elo points in one natural logarithm of the odds
MAX_STEPS = 60
# Beyond this (in natural logarithms; 3,500 Elo points) a strength is taken as running away.
RUNAWAY = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """K cells of votes: `wins`, `losses`, `ties` (K,) of `first` over `second`, by one voter each.

    `voter` (K,) never decreases; `covariates` (K, c) count for the first. Counts need not be
    whole (expected counts are fine).
    """

    models: int
    first: Ints
    second: Ints
    wins: Floats
    losses: Floats
    ties: Floats
    voter: Ints
    covariates: Floats

    @property
    def votes(self) -> Floats:
        return self.wins + self.losses + self.ties

    @property
    def has_ties(self) -> bool:
        return bool(self.ties.sum() > 0)

    @property
    def parameters(self) -> int:
        """Number of entries of (theta, beta, log nu); the last only where there are ties."""
        return self.models + self.covariates.shape[1] + self.has_ties


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A maximum. `strength` (m,) sums to 0; `coefficients` (c,); `log_nu` None without ties.

    `basis` (q, p) maps the p free parameters to the q = m + c + 1 ones; `information` (p, p) is
    minus the second derivative there, that of the prior included. `finite` is False if the
    iteration ran away: there was no maximum.
    """

    strength: Floats
    coefficients: Floats
    log_nu: float | None
    basis: Floats
    information: Floats
    finite: bool


@dataclass(frozen=True, slots=True, eq=False)
class Curvature:
    """Per-cell derivatives (K,) of the log-likelihood: `slope` and `tie_slope` with respect to eta
    and log nu, and minus the second ones (`eta`, `cross`, `tie`)."""

    slope: Floats
    tie_slope: Floats
    eta: Floats
    cross: Floats
    tie: Floats


def pooled(cells: Cells) -> Cells:
    """The same votes in far fewer cells: those of all voters together.

    The likelihood is the same, so this is what to fit; only the spread needs to know the voters.
    """
    m = cells.models
    key = cells.first * m + cells.second
    for k in range(cells.covariates.shape[1]):
        levels, code = np.unique(cells.covariates[:, k], return_inverse=True)
        key = key * len(levels) + code
    _, at, inverse = np.unique(key, return_index=True, return_inverse=True)
    counts = [np.bincount(inverse, x, len(at)) for x in (cells.wins, cells.losses, cells.ties)]
    nobody = np.zeros(len(at), dtype=np.int64)
    return Cells(m, cells.first[at], cells.second[at], *counts, nobody, cells.covariates[at])


def fit(cells: Cells, precision: Floats | None = None) -> Fit:
    """The maximum; with `precision` (q, q) that of the posterior under a normal prior around 0.

    Without a prior the maximum exists where `maximum.is_bounded` says so.
    """
    basis = free_basis(cells)
    prior = 0.0 if precision is None else precision
    prior = basis.T @ (prior + np.zeros((len(basis), len(basis)))) @ basis
    free = np.zeros(basis.shape[1])
    value = _log_likelihood(cells, basis @ free)
    finite = False
    for _ in range(MAX_STEPS):
        bend = curvature(cells, basis @ free)
        gradient = basis.T @ scores(cells, bend)[0] - prior @ free
        hessian = basis.T @ information(cells, bend)[0] @ basis + prior
        step = np.linalg.lstsq(hessian, gradient, rcond=None)[0]
        size = 1.0
        while True:
            ahead = free + size * step
            new = _log_likelihood(cells, basis @ ahead) - ahead @ prior @ ahead / 2
            if new >= value - 1e-9 * (1 + abs(value)) or size < 1e-6:
                break
            size /= 2
        free, value = ahead, new
        if np.abs(free).max(initial=0.0) > RUNAWAY:
            break
        if np.abs(size * step).max(initial=0.0) < 1e-9:
            finite = True
            break
    full, m = basis @ free, cells.models
    c = cells.covariates.shape[1]
    log_nu = float(full[-1]) if cells.has_ties else None
    bend = curvature(cells, full)
    hessian = basis.T @ information(cells, bend)[0] @ basis + prior
    return Fit(full[:m], full[m : m + c], log_nu, basis, hessian, finite)


def full_parameters(result: Fit) -> Floats:
    """(theta, beta, log nu) of a fit as one vector (q,)."""
    tail = [] if result.log_nu is None else [result.log_nu]
    return np.concatenate([result.strength, result.coefficients, tail])


def free_basis(cells: Cells) -> Floats:
    """(q, p): the strengths sum to zero, the rest is free; the columns are orthonormal."""
    m, q = cells.models, cells.parameters
    basis = np.zeros((q, q - 1))
    for k in range(1, m):  # Helmert's contrasts
        basis[:k, k - 1] = 1 / np.sqrt(k * (k + 1))
        basis[k, k - 1] = -k / np.sqrt(k * (k + 1))
    basis[m:, m - 1 :] = np.eye(q - m)
    return basis


def advantage(cells: Cells, full: Floats) -> Floats:
    """eta (K,) of every cell at the parameters `full` (q,)."""
    eta = full[cells.first] - full[cells.second]
    for k in range(cells.covariates.shape[1]):
        eta += cells.covariates[:, k] * full[cells.models + k]
    return eta


def probabilities(eta: Floats, log_nu: float | None) -> tuple[Floats, Floats, Floats]:
    """P(first wins), P(second wins), P(tie) at `eta`."""
    tie = np.full_like(eta, -np.inf if log_nu is None else log_nu)
    top = np.maximum(np.abs(eta) / 2, tie)
    win, loss, tie = np.exp(eta / 2 - top), np.exp(-eta / 2 - top), np.exp(tie - top)
    total = win + loss + tie
    return win / total, loss / total, tie / total


def curvature(cells: Cells, full: Floats) -> Curvature:
    """Derivatives of the log-likelihood in every cell at the parameters `full` (q,)."""
    log_nu = float(full[-1]) if cells.has_ties else None
    win, loss, tie = probabilities(advantage(cells, full), log_nu)
    n, lead = cells.votes, win - loss
    return Curvature(
        slope=(cells.wins - cells.losses - n * lead) / 2,
        tie_slope=cells.ties - n * tie,
        eta=n * (win + loss - lead**2) / 4,
        cross=-n * lead * tie / 2,
        tie=n * tie * (1 - tie),
    )


def scores(cells: Cells, bend: Curvature, group: Ints | None = None, groups: int = 1) -> Floats:
    """First derivatives (groups, q), summed over the cells of each group."""
    m, q = cells.models, cells.parameters
    at = np.zeros(len(cells.first), dtype=np.int64) if group is None else group
    out = np.zeros((groups, q))
    out[:, :m] = _difference(cells, bend.slope, at, groups)
    for k in range(cells.covariates.shape[1]):
        out[:, m + k] = np.bincount(at, bend.slope * cells.covariates[:, k], groups)
    if cells.has_ties:
        out[:, -1] = np.bincount(at, bend.tie_slope, groups)
    return out


def information(
    cells: Cells, bend: Curvature, group: Ints | None = None, groups: int = 1
) -> Floats:
    """Minus the second derivatives (groups, q, q), summed over the cells of each group."""
    m, q, c = cells.models, cells.parameters, cells.covariates.shape[1]
    at = np.zeros(len(cells.first), dtype=np.int64) if group is None else group
    out = np.zeros((groups, q, q))
    index = (at * m + cells.first) * m + cells.second
    met = np.bincount(index, bend.eta, groups * m * m).reshape(groups, m, m)
    met = met + met.transpose(0, 2, 1)
    out[:, :m, :m] = -met
    out[:, np.arange(m), np.arange(m)] = met.sum(axis=2)
    # What each further column multiplies: eta's curvature, or the cross one for log nu.
    rows = [cells.covariates[:, k] * bend.eta for k in range(c)] + [bend.cross] * cells.has_ties
    for k, weight in enumerate(rows):
        out[:, :m, m + k] = out[:, m + k, :m] = _difference(cells, weight, at, groups)
        for other in range(c):
            value = np.bincount(at, weight * cells.covariates[:, other], groups)
            out[:, m + k, m + other] = out[:, m + other, m + k] = value
    if cells.has_ties:
        out[:, -1, -1] = np.bincount(at, bend.tie, groups)
    return out


def _difference(cells: Cells, weight: Floats, at: Ints, groups: int) -> Floats:
    """(groups, m): the weights of a model's cells as the first less those as the second."""
    size, m = groups * cells.models, cells.models
    plus = np.bincount(at * m + cells.first, weight, size)
    return (plus - np.bincount(at * m + cells.second, weight, size)).reshape(groups, m)


def _log_likelihood(cells: Cells, full: Floats) -> float:
    eta = advantage(cells, full)
    value = (cells.wins - cells.losses) @ eta / 2
    top = np.abs(eta) / 2
    total = np.exp(eta / 2 - top) + np.exp(-eta / 2 - top)
    if cells.has_ties:
        value += cells.ties.sum() * full[-1]
        higher = np.maximum(top, full[-1])
        total = total * np.exp(top - higher) + np.exp(full[-1] - higher)
        top = higher
    return float(value - cells.votes @ (top + np.log(total)))
