"""Step after step: what is logged, measured, shown and saved on the way, and how it ends early."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from numpy import ndarray
from torch import Tensor

from empo.training.checkpoints import tidy
from empo.training.folder import RunFolder, append_line
from train.pretraining.network import Network, in_parts
from train.pretraining.recipe import PretrainRecipe
from train.pretraining.state import Learner
from train.pretraining.windows import Windows, stacked, windows

SHOWN = 10  # every so many steps a line is printed


class Loop:
    """Trains `network` with `learner`; `watched` are the windows it is measured on meanwhile."""

    def __init__(
        self,
        recipe: PretrainRecipe,
        folder: RunFolder,
        network: Network,
        learner: Learner,
        watched: list[Windows],
    ) -> None:
        self.recipe, self.folder = recipe, folder
        self.network, self.learner, self.watched = network, learner, watched
        self.began = self.began_rows = 0.0

    def run(self, tokens: ndarray) -> bool:
        """Steps until the end; False where a signal or the file STOP ended it before."""
        learner = self.learner
        stream = windows(tokens, self.recipe.window, self.recipe.seed, learner.rows)
        self.began, self.began_rows = time.monotonic(), learner.rows
        earlier = learner.seconds
        with _listening() as told:
            while learner.rows < learner.total:
                measured, saved = (self._share(n) for n in self._parts())
                row = self._step(stacked(list(islice(stream, learner.batch))))
                learner.seconds = row["seconds"] = earlier + time.monotonic() - self.began
                if learner.step == 1 or measured < self._share(self.recipe.evaluations):
                    row |= self._valid()
                self._log(row)
                stop = bool(told) or self.folder.stop_file.exists()
                if stop or saved < self._share(self.recipe.checkpoints):
                    learner.save(self.folder.checkpoints)
                    tidy(self.folder)
                if stop:
                    self.folder.stop_file.unlink(missing_ok=True)
                    return learner.rows >= learner.total
        return True

    def loss(self, weights: dict[str, Tensor], parts: list[Windows]) -> float:
        """Mean loss of `weights` on `parts`, nats a token."""
        self.network.take(weights)
        return self.network.measure(parts)

    def _step(self, rows: Windows) -> dict[str, Any]:
        learner = self.learner
        self.network.take(learner.weights)
        loss, grads = self.network.backward(in_parts(rows, self.recipe.steps.micro))
        rate, norm = learner.learn(grads, len(rows.tokens))
        speed = (learner.rows - self.began_rows) * self.recipe.window
        return {
            "step": learner.step,
            "tokens": learner.rows * self.recipe.window,
            "loss": loss,
            "rate": rate,
            "norm": norm,
            "tokens_per_second": speed / (time.monotonic() - self.began),
        }

    def _valid(self) -> dict[str, float]:
        found = {"valid": self.loss(self.learner.weights, self.watched)}
        if self.learner.mean:
            found["valid_mean"] = self.loss(self.learner.mean, self.watched)
        return found

    def _parts(self) -> tuple[int, int]:
        return self.recipe.evaluations, self.recipe.checkpoints

    def _share(self, parts: int) -> int:
        """How many of `parts` equal shares of all windows are done."""
        return self.learner.rows * parts // self.learner.total

    def _log(self, row: dict[str, Any]) -> None:
        append_line(self.folder / "metrics.jsonl", row)
        if "valid" not in row and row["step"] % SHOWN:
            return
        total = self.learner.total * self.recipe.window
        left = (total - row["tokens"]) / row["tokens_per_second"]
        valid = "".join(f"  {key} {row[key]:.4f}" for key in row if key.startswith("valid"))
        print(
            f"step {row['step']}  {row['tokens'] / 1e6:.2f} of {total / 1e6:.2f} M tokens"
            f"  loss {row['loss']:.3f}{valid}  rate {row['rate']:.2e}"
            f"  {row['tokens_per_second']:,.0f} tokens/s  {left / 60:.1f} min left",
            flush=True,
        )


@contextmanager
def _listening() -> Iterator[list[int]]:
    """A list that is filled once SIGTERM or SIGINT asks for the end."""
    told: list[int] = []
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [
        signal.signal(number, lambda number, frame: told.append(number)) for number in numbers
    ]
    try:
        yield told
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
