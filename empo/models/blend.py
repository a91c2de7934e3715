"""Which adapters each row of the current pass uses, and how much of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch


class Blend:
    """The weights of the adapters for each row of the current pass, shared by all layers.

    `names`: the adapters, in the order of the columns of `weights` (rows, adapters).
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.weights: torch.Tensor | None = None
        self._masks: dict[tuple[int, ...], torch.Tensor] = {}

    def use(self, rows: Sequence[Mapping[str, float]], device: torch.device | str) -> None:
        """Set the blend of each row; all layers follow."""
        columns = [[float(row.get(name, 0.0)) for name in self.names] for row in rows]
        self._set(torch.tensor(columns, device=device) if any(map(any, columns)) else None)

    def keep(self, rows: torch.Tensor) -> None:
        """Keep only these rows (the others have ended)."""
        if self.weights is not None:
            left = self.weights[rows]
            self._set(left if left.any() else None)

    def _set(self, weights: torch.Tensor | None) -> None:
        self.weights = weights
        self._masks = {}

    def mask(self, ranks: tuple[int, ...]) -> torch.Tensor | None:
        """(rows, 1, sum of ranks); None while every row is the base alone.

        `ranks` holds the rank of every adapter for one member after the other, 0 where it has none.
        """
        if self.weights is None:
            return None
        if (mask := self._masks.get(ranks)) is None:
            repeats = torch.tensor(ranks, device=self.weights.device)
            columns = self.weights.repeat(1, len(ranks) // len(self.names))
            mask = columns.repeat_interleave(repeats, dim=1).unsqueeze(1)
            self._masks[ranks] = mask
        return mask
