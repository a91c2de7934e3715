"""Optimisers, their schedule, the running mean, and a checkpoint of it all without a pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from empo.errors import DataError, UsageError
from empo.training.checkpoints import seal
from empo.training.folder import read_json, write_json
from train.pretraining.recipe import PretrainRecipe, Steps


def rate(done: float, steps: Steps) -> float:
    """The factor of the learning rate once the share `done` (0..1) of all tokens is read."""
    rising = done / steps.warmup if steps.warmup else 1.0
    falling = (1 - done) / steps.decay if steps.decay else 1.0
    return max(0.0, min(1.0, rising, falling))


class Learner:
    """The weights, what updates them, and how far it is (`step`, `rows` windows, `seconds`).

    `before`: the validation loss it began with.
    """

    def __init__(self, weights: dict[str, Tensor], recipe: PretrainRecipe) -> None:
        self.weights, self.recipe = weights, recipe
        self.mean = {name: w.clone() for name, w in weights.items()} if recipe.average else {}
        self.step, self.rows, self.seconds, self.before = 0, 0, 0.0, 0.0
        self.optimisers = optimisers(weights, recipe.steps)

    @property
    def total(self) -> int:
        """Windows of the whole pretraining."""
        return max(1, self.recipe.tokens // self.recipe.window)

    @property
    def batch(self) -> int:
        """Windows of the next step."""
        steps = self.recipe.steps
        early = self.rows < steps.late * self.total
        return min(steps.batch if early else steps.late_batch, self.total - self.rows)

    def learn(self, grads: dict[str, Tensor], rows: int) -> tuple[float, float]:
        """One step with `grads` of `rows` windows; the learning rate and the gradient's norm."""
        factor = rate((self.rows + rows / 2) / self.total, self.recipe.steps)
        norm = torch.nn.utils.get_total_norm(grads.values())
        scale = min(1.0, self.recipe.steps.clip / (float(norm) + 1e-6))
        for name, weight in self.weights.items():
            weight.grad = grads[name].mul_(scale)
        for optimiser in self.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = factor * self.recipe.steps.learning_rate
            optimiser.step()
            optimiser.zero_grad()
        self.step, self.rows = self.step + 1, self.rows + rows
        # young means forget faster: the mean of the first steps is not that of the beginning
        keep = min(self.recipe.average, (1 + self.step) / (10 + self.step))
        for name, mean in self.mean.items():
            mean.lerp_(self.weights[name], 1 - keep)
        return factor * self.recipe.steps.learning_rate, float(norm)

    def told(self) -> dict[str, Any]:
        """How far it is, and by which recipe."""
        return {
            "step": self.step,
            "rows": self.rows,
            "tokens": self.rows * self.recipe.window,
            "seconds": self.seconds,
            "recipe": self.recipe.model_dump(mode="json"),
        }

    def save(self, home: Path) -> Path:
        """A whole checkpoint below `home`: tensors as safetensors, the rest as JSON, hashed."""
        folder = home / f"checkpoint-{self.step}"
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.weights, folder / "weights.safetensors")
        save_file(self.mean, folder / "mean.safetensors")
        tensors = {
            f"{name}/{number}/{key}": value
            for name, optimiser in self.optimisers.items()
            for number, state in optimiser.state_dict()["state"].items()
            for key, value in state.items()
        }
        save_file(tensors, folder / "optimisers.safetensors")
        write_json(folder / "state.json", self.told() | {"before": self.before})
        seal(folder)
        return folder

    @torch.no_grad()
    def load(self, folder: Path) -> None:
        """Go on from the whole checkpoint `folder`.

        Raises:
            UsageError: it is of another recipe.
            DataError: it does not hold what this network needs.
        """
        told = read_json(folder / "state.json") or {}
        if told.get("recipe") != self.recipe.model_dump(mode="json"):
            raise UsageError(
                f"{folder.name} was made by another recipe: take the changes back, or give a new "
                "folder with --run."
            )
        try:
            for name, value in load_file(folder / "weights.safetensors").items():
                self.weights[name].copy_(value)
            for name, value in load_file(folder / "mean.safetensors").items():
                self.mean[name].copy_(value)
            self._restore(load_file(folder / "optimisers.safetensors"))
        except (OSError, KeyError, RuntimeError) as error:
            raise DataError(f"{folder.name} does not fit the network: {error}.") from error
        self.step, self.rows = told["step"], told["rows"]
        self.seconds, self.before = told["seconds"], told["before"]

    def _restore(self, tensors: dict[str, Tensor]) -> None:
        states: dict[str, dict[int, dict[str, Tensor]]] = {}
        for key, value in tensors.items():
            name, number, what = key.split("/")
            states.setdefault(name, {}).setdefault(int(number), {})[what] = value
        for name, optimiser in self.optimisers.items():
            groups = optimiser.state_dict()["param_groups"]
            optimiser.load_state_dict({"state": states[name], "param_groups": groups})


def optimisers(weights: dict[str, Tensor], steps: Steps) -> dict[str, Any]:
    """AdamW, and Muon beside it if asked for; vectors (norms) and embeddings are not decayed.

    Muon (Jordan et al. 2024) takes the layers' matrices, its updates scaled to the size of AdamW's
    (Liu et al. 2025), so that one learning rate serves both.
    """
    hidden = [w for name, w in weights.items() if w.ndim == 2 and ".layers." in name]
    other = [w for name, w in weights.items() if w.ndim != 2 or ".layers." not in name]
    adamw: dict[str, Any] = {"lr": steps.learning_rate, "betas": (0.9, steps.beta2)}
    if steps.optimiser == "adamw":
        groups = [
            {"params": hidden, "weight_decay": steps.weight_decay},
            {"params": other, "weight_decay": 0.0},
        ]
        return {"adamw": torch.optim.AdamW(groups, **adamw)}
    return {
        "muon": torch.optim.Muon(
            hidden,
            lr=steps.learning_rate,
            weight_decay=steps.weight_decay,
            adjust_lr_fn="match_rms_adamw",
        ),
        "adamw": torch.optim.AdamW(other, weight_decay=0.0, **adamw),
    }
