"""A DPO run beside the bare TRL script with a second full reference model. Ratios of one run.

    python -m tests.bench.training [--pairs N] [--rounds R]

speed    DPO samples per second of a run ÷ of the script (at least 1.0): processor time of one
         thread from nothing to the last step, with loading, the reference's log-probabilities and
         what a run writes into its folder; in turn, round after round, medians
memory   bytes of all tensors that a run holds after its last step ÷ the script's: weights,
         gradients, the optimiser's moments; counted tensor by tensor, then by hand

Both train the embedded SFT adapter further on the same pairs, in fp32, with the same loss, batch
and learning rate. The script is TRL's documentation: DPOTrainer(model, ref_model), where ref_model
is a second copy of the base with the SFT adapter merged in. Exit code 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from empo.training.folder import make_folder
from empo.training.progress import Progress
from empo.training.recipe import DpoRecipe, load_recipe
from empo.training.status import read_status
from train import dpo
from train.adapters import load_base, load_start
from train.pairs import preference_rows, training_pairs

SPEED = 1.0
Timed = tuple[float, Any]


def specification(pairs: int) -> DpoRecipe:
    """nano-dpo on `pairs` pairs of the starter set: plain DPO, and nothing but training."""
    changes = ["data=starter", f"limit={pairs}", "draws=2", "valid=0", "samples=0", "sft_weight=0"]
    changes += ["optimiser.batch=8", "checkpoint_every=100000", "name=bench"]
    return load_recipe("nano-dpo", DpoRecipe, changes)


def a_run(spec: DpoRecipe, home: Path) -> Timed:
    """Seconds of a run in a folder of its own, and its trainer."""
    folder = make_folder(spec, home)
    progress = Progress(folder, spec, read_status(folder))
    start = time.process_time()
    trainer = dpo.build(spec, str(folder.checkpoints), [progress])
    trainer.train()
    return time.process_time() - start, trainer


def the_script(spec: DpoRecipe, home: Path) -> Timed:
    """Seconds of TRL's own trainer with two models, and that trainer."""
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    start = time.process_time()
    base, tokenizer = load_base(spec)
    model = load_start(base, str(spec.start))
    reference = load_start(load_base(spec)[0], str(spec.start)).merge_and_unload()
    optimiser = spec.optimiser
    config = DPOConfig(
        output_dir=str(home / "script"), use_cpu=True, bf16=False, seed=spec.seed, beta=spec.beta,
        num_train_epochs=optimiser.epochs, learning_rate=optimiser.learning_rate,
        per_device_train_batch_size=optimiser.batch, max_length=optimiser.max_length,
        gradient_checkpointing=False, report_to="none", disable_tqdm=True,
        dataloader_pin_memory=False,
    )  # fmt: skip
    rows = preference_rows(training_pairs(spec)[0], spec, tokenizer)
    trainer = DPOTrainer(
        model=model,
        ref_model=reference,
        args=config,
        train_dataset=Dataset.from_list(rows).remove_columns("length"),
        processing_class=tokenizer,
    )
    trainer.train()
    return time.process_time() - start, trainer


def held(trainer: Any) -> int:
    """Bytes of all tensors that stay from step to step; one that is shared counts once."""
    models = [trainer.model, *([trainer.ref_model] if trainer.ref_model is not None else [])]
    weights = [weight for model in models for weight in model.parameters()]
    every = [*weights, *(torch.empty_like(w) for w in weights if w.requires_grad)]
    for state in trainer.optimizer.state.values():
        every += [value for value in state.values() if torch.is_tensor(value) and value.dim()]
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in every}
    return sum(storages.values())


def by_hand(trainer: Any) -> str:
    """The calculation behind a run's bytes and the script's."""
    weights = list(trainer.model.parameters())
    trained = sum(w.numel() for w in weights if w.requires_grad)
    base = sum(w.numel() for w in weights if not w.requires_grad)
    ours, theirs = base + 4 * trained, 2 * base + 4 * trained
    return (
        f"(base {base / 1e6:.2f} M + 4 × adapter {trained / 1e6:.2f} M) ÷ "
        f"(2 × base + 4 × adapter) = {ours / theirs:.3f}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    spec = specification(options.pairs)
    ways: dict[str, Callable[[DpoRecipe, Path], Timed]] = {"run": a_run, "script": the_script}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    memory, said = {}, ""
    for n in range(options.rounds + 1):
        asked = spec if n else specification(8)  # the first round warms up
        for name, way in ways.items():
            with tempfile.TemporaryDirectory() as home:
                took, trainer = way(asked, Path(home))
            if n:
                seconds[name].append(took)
            memory[name] = held(trainer)
            said = by_hand(trainer) if name == "run" else said
            del trainer
    return report(options.pairs, seconds, memory, said)


def report(pairs: int, seconds: dict[str, list[float]], memory: dict[str, int], said: str) -> int:
    """Print the figures; 1 if the run is slower than the script."""
    speed = {name: pairs / statistics.median(values) for name, values in seconds.items()}
    ratio = speed["run"] / speed["script"]
    rounds = len(seconds["run"])
    print(f"nano DPO, fp32 on the CPU, one thread, {pairs} pairs, batch 8, medians of {rounds}:")
    print(f"  a run       {speed['run']:6.2f} pairs/s of processor time")
    print(f"  the script  {speed['script']:6.2f} pairs/s; a run is {ratio:.2f} of it", end=" ")
    print(f"(at least {SPEED})")
    share = memory["run"] / memory["script"]
    print(f"  tensors: a run {memory['run'] / 1e6:.1f} MB, ", end="")
    print(f"the script {memory['script'] / 1e6:.1f} MB: {share:.3f}; {said}")
    return int(ratio < SPEED)


if __name__ == "__main__":
    raise SystemExit(main())
