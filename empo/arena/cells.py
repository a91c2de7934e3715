"""Votes as cells for the fit: counted, cut into groups, with what else may sway a vote.

Length enters as (l_a - l_b) / (l_a + l_b), as in LMArena's style control (Li et al. 2024, “Does
style matter?”), the seat as 1 for model_a.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from empo.arena import bradley_terry
from empo.arena.bradley_terry import Cells, Ints
from empo.arena.votes import BOTH_BAD, TIE, A, B, Votes

COVARIATES = ("side", "length")
# The relaxed rule of thumb of Vittinghoff and McCulloch (Am. J. Epidemiol. 165, 2007).
VOTES_PER_PARAMETER = 5
# Up to this many (voter, model, model) cells are counted in one table.
_DENSE = 20_000_000


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


def adjusted_cells(
    votes: Votes, names: Sequence[str], plain: Cells
) -> tuple[Cells, list[str], list[str]]:
    """The cells with those of the covariates `names` that the votes can speak of.

    Returns them, the names that are left, and a sentence for each thing that cannot be done. What
    counts is the largest group; whether another group can be adjusted, `is_identified` says.
    """
    kept: list[str] = []
    if not names or not len(plain.first):
        return plain, kept, []
    group = groups(plain, len(votes.models))[0]
    enough = VOTES_PER_PARAMETER * (len(group) + len(names))
    if cut(plain, group).votes.sum() < enough:
        few = f"Fewer than {enough} votes: too few to adjust for {' and '.join(names)}."
        return plain, kept, [few]
    told = []
    seats = _seat_cells(votes)
    few_seats = bradley_terry.pooled(cut(seats, group))
    for name in names:
        if is_identified(_with(few_seats, [*kept, name])):
            kept.append(name)
        else:
            told.append(f"The effect of {name} cannot be told from that of the models: left out.")
    return (_with(seats, kept) if kept else plain), kept, told


def _with(cells: Cells, names: Sequence[str]) -> Cells:
    """Only the covariates `names` of cells that have them all."""
    columns = [COVARIATES.index(name) for name in names]
    return replace(cells, covariates=cells.covariates[:, columns])


def is_identified(cells: Cells) -> bool:
    """Whether votes are enough to fit `cells`, and tell its covariates from the models."""
    if cells.votes.sum() < VOTES_PER_PARAMETER * cells.parameters:
        return False
    flat = replace(cells, wins=cells.votes, losses=0 * cells.votes, ties=0 * cells.votes)
    basis = bradley_terry.free_basis(flat)
    bend = bradley_terry.curvature(flat, np.zeros(flat.parameters))
    values = np.linalg.eigvalsh(basis.T @ bradley_terry.information(flat, bend)[0] @ basis)
    return bool(values[0] > 1e-9 * values[-1])


def groups(cells: Cells, models: int) -> list[Ints]:
    """Models connected by votes, largest group first (then by name)."""
    if models == 0:
        return []
    links = coo_array((cells.votes, (cells.first, cells.second)), shape=(models, models))
    count, label = connected_components(links, directed=False)
    found = [np.flatnonzero(label == g) for g in range(count)]
    return sorted(found, key=lambda g: (-len(g), int(g[0])))


def cut(cells: Cells, index: Ints) -> Cells:
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
