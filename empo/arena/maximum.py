"""The maximum of the likelihood or, where the votes do not bound it, what stands in for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from empo.arena import bradley_terry
from empo.arena.bradley_terry import POINTS, Cells, Fit, Floats, Ints
from empo.arena.cells import cut, groups

Flags = NDArray[np.bool_]

PRIOR_SD = 350 / POINTS


def fit_or_prior(cells: Cells) -> tuple[Fit, Flags]:
    """The maximum of the likelihood or, where there is none, of a posterior; who was helped (m,).

    If it is only that some models won, or lost, every vote, only those get a prior, around the mean
    of the others; otherwise every parameter gets one.
    """
    nobody = np.zeros(cells.models, dtype=bool)
    cells = bradley_terry.pooled(cells)
    plain = replace(cells, covariates=cells.covariates[:, :0])
    if is_bounded(plain):
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
    found = groups(among, cells.models)
    return len(found[0]) == len(core) and is_bounded(cut(among, core))


def is_bounded(cells: Cells) -> bool:
    """Whether the likelihood without covariates has a maximum (a linear programme).

    It has none exactly if some direction never lowers the likelihood of any vote (Albert and
    Anderson, Biometrika 71, 1984; for Bradley–Terry without ties this is Ford's condition, Am.
    Math. Monthly 64, 1957). The comparison graph has to be connected.
    """
    from scipy.optimize import linprog

    if _wins_connect(cells):
        return True
    rows = _recession_rows(cells)
    bounds = [(-1.0, 1.0)] * rows.shape[1]
    result = linprog(-rows.sum(axis=0), A_ub=-rows, b_ub=np.zeros(len(rows)), bounds=bounds)
    return bool(-result.fun < 1e-7)


def _wins_connect(cells: Cells) -> bool:
    """Whether wins alone lead from every model to every other: enough, and quick to see."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    won, lost = cells.wins > 0, cells.losses > 0
    better = np.concatenate([cells.first[won], cells.second[lost]])
    worse = np.concatenate([cells.second[won], cells.first[lost]])
    links = coo_array((np.ones(len(better)), (better, worse)), shape=(cells.models,) * 2)
    return connected_components(links, connection="strong")[0] == 1


def _recession_rows(cells: Cells) -> Floats:
    """Rows r with r·d >= 0 for every direction d (theta, log nu) that lowers no vote's chance."""
    m, ties = cells.models, cells.has_ties
    size = m * m
    index = cells.first * m + cells.second
    counts = [np.bincount(index, x, size) for x in (cells.wins, cells.losses, cells.ties)]
    rows = []
    for pair in np.flatnonzero(sum(counts) > 0):
        lead = np.zeros(m + ties)
        lead[pair // m], lead[pair % m] = 0.5, -0.5
        tie = np.zeros(m + ties)
        if ties:
            tie[-1] = 1.0
        features = (lead, -lead, tie) if ties else (lead, -lead)
        for happened, count in zip(features, counts, strict=False):
            if count[pair] > 0:
                rows += [happened - other for other in features if other is not happened]
    return np.array(rows)
