"""Three replies in one pass, beside the other ways to get them. Ratios of one run, medians.

    python -m tests.bench.engine [--rounds N] [--tokens N] [--profile]

The embedded stack in fp32 on the CPU: its base, and its two adapters on all seven linear layers.
Every way answers the same first message greedily with the same number of tokens (no reply ends
early), in turn, round after round; times are of whole replies, prompt included: processor time of
one thread, which other work on the machine disturbs least. Exit code 1 if a ratio is above its
limit.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext

import torch

from empo.models.decoding import Decoder
from empo.models.engine import Row
from empo.models.loading import load_engine
from empo.models.stacks import load_stack
from empo.types import Sampling, Turn

MESSAGE = "I have been offered the job I wanted for years, and now I am afraid to move away."
LIMITS = {"three calls in turn": 0.45, "PEFT's mixed batch": 0.7, "the base alone": 1.5}


def voices(tokens: int) -> list[Row]:
    """The stack's three voices with the same message."""
    sampling = Sampling(temperature=0, max_new_tokens=tokens)
    turns = (Turn("user", MESSAGE),)
    return [Row(s.name, turns, s.adapters, sampling) for s in load_stack("nano").models]


def peft_model():
    """The same stack in PEFT: the base and its adapters, loaded with PEFT's own code."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    stack = load_stack("nano")
    base = AutoModelForCausalLM.from_pretrained(stack.base.folder, dtype=torch.float32)
    first, *others = stack.adapters
    model = PeftModel.from_pretrained(base, stack.adapters[first].folder, adapter_name=first)
    for name in others:
        model.load_adapter(stack.adapters[name].folder, adapter_name=name)
    return model.eval()


def ways(tokens: int) -> dict[str, Callable[[], object]]:
    """Name → what is timed."""
    decoder = load_engine(load_stack("nano"), "none").decoder
    # No end marker: every way computes the same number of tokens.
    decoder = Decoder(decoder.model, decoder.blend, decoder.encoder, frozenset())
    rows = voices(tokens)
    peft = peft_model()
    ids = torch.tensor([decoder.encoder.encode(rows[0].messages)])
    fixed = {"max_new_tokens": tokens, "min_new_tokens": tokens, "do_sample": False}

    def run(chosen: list[Row]) -> None:
        for _ in decoder.decode(chosen, lambda row: False):
            pass

    def generate(batch: int, **more) -> None:
        prompt = ids.expand(batch, -1)
        peft.generate(prompt, attention_mask=torch.ones_like(prompt), **fixed, **more)

    def peft_in_turn() -> None:
        for row in rows:
            for name in row.adapters:
                peft.set_adapter(name, inference_mode=True)
            with nullcontext() if row.adapters else peft.disable_adapter():
                generate(1)

    mixed = ["__base__", *(next(iter(row.adapters)) for row in rows[1:])]
    return {
        "three in one pass": lambda: run(rows),
        "three calls in turn": lambda: [run([row]) for row in rows],
        "PEFT's mixed batch": lambda: generate(3, adapter_names=mixed),
        "PEFT, three calls in turn": peft_in_turn,
        "the base alone": lambda: run(rows[:1]),
    }


def measure(tokens: int, rounds: int) -> dict[str, float]:
    """Median seconds of each way."""
    timed = ways(tokens)
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    with torch.inference_mode():
        for n in range(rounds + 1):
            for name, way in timed.items():
                start = time.process_time()
                way()
                if n:  # the first round warms up
                    seconds[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--profile", action="store_true", help="where the pass spends its time")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.profile:
        return profile(options.tokens)
    engine = load_engine(load_stack("nano"), "none")
    configs = [s.folder / "adapter_config.json" for s in engine.stack.adapters.values()]
    ranks = ", ".join(str(json.loads(path.read_text())["r"]) for path in configs)
    median = measure(options.tokens, options.rounds)
    ours = median["three in one pass"]
    print(f"nano, fp32 on the CPU, one thread, rank {ranks}, ", end="")
    print(f"{options.tokens} tokens, medians of {options.rounds}:")
    failed = False
    for name, seconds in median.items():
        ratio, limit = ours / seconds, LIMITS.get(name)
        failed |= limit is not None and ratio > limit
        wanted = f" (limit {limit})" if limit else ""
        print(f"  {name:28s} {1000 * seconds:7.0f} ms; one pass is {ratio:.2f} of it{wanted}")
    sizes = engine.tensor_bytes
    print(
        f"  tensors: stack {sizes['stack'] / 1e6:.1f} MB, base alone {sizes['base'] / 1e6:.1f} MB:",
        end=" ",
    )
    print(f"{sizes['stack'] / sizes['base']:.2f}")
    return int(failed)


def profile(tokens: int) -> int:
    one_pass = ways(tokens)["three in one pass"]
    one_pass()
    with torch.profiler.profile() as profiler, torch.inference_mode():
        one_pass()
    print(profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=25))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
