"""Facts about the models behind the page: what is live, how it is held, what else could run."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import psutil

from empo.doctor import Gpu
from empo.models.engine import Engine
from empo.models.footprint import footprint
from empo.models.stacks import Stack
from empo.ui.services import Services

BIG = "zephyr-7b"
BIG_DOWNLOAD = "about 27 GB"  # bf16: base 14.5 GB, two adapters of rank 1024 at 5.9 GB each
BIG_NEEDS = 24e9  # bytes of GPU memory for all three in nf4


def live_line(stack: Stack, graphics: Sequence[Gpu] = (), recorded: bool = False) -> str:
    """What answers here, and how to get the paper's 7B models or their recorded replies (HTML)."""
    if stack.name != "nano":
        return f'<p class="live">Live here: {escape(stack.title)}. {escape(stack.about)}</p>'
    fitting = [gpu for gpu in graphics if gpu.memory >= BIG_NEEDS]
    if fitting:
        where = f"This machine's {escape(fitting[0].name)} can run them:"
    else:
        where = "On a machine with an NVIDIA GPU of 24 GB:"
    replies = (
        "Their recorded replies can be read further down."
        if recorded
        else "Their recorded replies: <code>python -m empo fetch replies</code>, then restart."
    )
    return (
        '<details class="live"><summary>Live here: <b>nano</b>, our own tiny models. '
        "The paper’s 7B models?</summary>"
        f"<p>nano has 8.5 million parameters, about a thousandth of the paper’s. {where} "
        f'<code>make run ARGS="--stack {BIG}"</code> (downloads {BIG_DOWNLOAD}). {replies}</p>'
        "</details>"
    )


def memory(stack: Stack, engine: Engine) -> str:
    """What the weights take, as calculated, and what the whole process holds."""
    held = f"{psutil.Process().memory_info().rss / 1e9:.1f} GB the whole process"
    found = footprint(stack, engine.quantisation, engine.device.startswith("cuda"))
    if found is None:
        return f"Memory: {held}"
    return (
        f"Memory: {found.base / 1e6:,.0f} MB base, {found.adapters / 1e6:,.0f} MB adapters; {held}"
    )


def facts(services: Services) -> str:
    """Quantisation, device, memory and adapters, as Markdown; what is known so far."""
    stack, holder = services.stack, services.holder
    lines = [f"**{stack.title}**", f"Base: `{stack.base.path}`"]
    if holder.status.state == "ready":
        engine = holder.engine
        bits = {"nf4": "4-bit (nf4)", "int8": "8-bit", "none": "not quantised"}
        lines.append(f"Weights: {bits[engine.quantisation]}, on {engine.device}")
        lines.append(memory(stack, engine))
        if services.place is not None and services.place.said:
            lines.append(services.place.said)
    else:
        lines.append(holder.status.text)
    adapters = [f"{name} `{short}`" for name, short in services.hashes.items() if short]
    if adapters:
        lines.append("Adapters: " + ", ".join(adapters))
    return "  \n".join(lines)
