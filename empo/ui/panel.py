"""What is rarely needed, behind *More*: sampling, seed, prompt, facts about the models."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr
from gradio.components import Component

from empo.models.dial import dial_ends
from empo.models.stacks import Stack
from empo.prompts import AS_PUBLISHED, PROMPT_NAMES, PROMPTS
from empo.sampling import LIMITS
from empo.ui.share import starting_sampling
from empo.ui.sweep_panel import sweep_panel


@dataclass(frozen=True)
class Panel:
    """The settings in the order that `compare_tab` reads them, and the facts below them.

    `sweep` is None where the stack has no alignment dial.
    """

    settings: tuple[Component, ...]
    facts: gr.Markdown
    sweep: gr.HTML | None


def prompt_text(name: str) -> str:
    """A prompt's wording for the page."""
    if name == AS_PUBLISHED:
        base, tuned = PROMPTS["paper-base"], PROMPTS["paper-tuned"]
        return f"Base: “{base}”\n\nSFT and DPO: “{tuned}”"
    text = PROMPTS.get(name)
    return f"“{text}”" if text else "No system prompt: the models see the conversation alone."


def panel(stack: Stack) -> Panel:
    """Build the settings inside the current Blocks."""
    d = starting_sampling(stack)
    dial = dial_ends(stack.models) is not None
    title = f"More: {'sweep, ' if dial else ''}sampling, seed, prompt, models"
    with gr.Accordion(title, open=False, elem_id="more"):
        sweep = sweep_panel() if dial else None
        with gr.Row():
            temperature = _slider(
                "temperature", "Temperature", d.temperature, 0.05, "0: always the likeliest word"
            )
            top_p = _slider(
                "top_p",
                "Top-p",
                d.top_p,
                0.01,
                "1: from all words",
                low=0.01,
            )
            penalty = _slider(
                "repetition_penalty", "Repetition penalty", d.repetition_penalty, 0.05, "1: none"
            )
        with gr.Row():
            tokens = _slider(
                "max_new_tokens",
                "Longest reply (tokens)",
                d.max_new_tokens,
                1,
                "A word has about 1.3",
                high=400,
            )
            seed = gr.Number(
                d.seed,
                label="Seed",
                info="The same seed and settings give the same replies",
                precision=0,
                minimum=int(LIMITS["seed"].low),
                maximum=int(LIMITS["seed"].high),
                elem_id="seed",
            )
            prompt = gr.Dropdown(
                list(PROMPT_NAMES),
                value=stack.prompt,
                label="System prompt",
                info="The same for all models, but for “as-published”",
                elem_id="prompt",
            )
        wording = gr.Markdown(prompt_text(stack.prompt), elem_id="wording")
        prompt.change(
            prompt_text, prompt, wording, show_progress="hidden", api_visibility="private"
        )
        facts = gr.Markdown(elem_id="facts")
    return Panel((temperature, top_p, penalty, tokens, seed, prompt), facts, sweep)


def _slider(
    name: str,
    label: str,
    value: float,
    step: float,
    info: str,
    low: float | None = None,
    high: float | None = None,
) -> gr.Slider:
    limits = LIMITS[name]
    return gr.Slider(
        limits.low if low is None else low,
        limits.high if high is None else high,
        value,
        step=step,
        label=label,
        info=info,
        elem_id=name.replace("_", "-"),
    )
