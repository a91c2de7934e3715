"""The picker of recorded situations: by emotion, by words; choosing one shows it in the columns."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from empo.data.emotions import EMOTIONS
from empo.data.recorded import find_files, search
from empo.errors import EmpoError
from empo.ui.handlers import Handlers

_ANY = "any feeling"
_ABSENT = (
    "The paper released what its 7B models answered to 2,540 situations. They carry no licence, so "
    "they are not shipped here. Where this page runs on your machine, `python -m empo fetch "
    "replies` gets them from their owners; then restart the page and search them here."
)


@dataclass(frozen=True)
class Replay:
    """The list of what was found, and the way back to the live models."""

    found: gr.Dropdown
    back: gr.Button


def replay_panel(handlers: Handlers) -> Replay:
    """Build it inside the current Blocks; where nothing was fetched it says how to."""
    there = bool(find_files(handlers.services.replies))
    with gr.Accordion("Recorded replies of the paper's 7B models", open=False, elem_id="replay"):
        if not there:
            gr.Markdown(_ABSENT)
        with gr.Row(visible=there):
            emotion = gr.Dropdown(
                [_ANY, *sorted(EMOTIONS)], value=_ANY, label="Feeling", min_width=140
            )
            words = gr.Textbox(
                label="Words in it",
                placeholder="dog, exam …",
                max_length=200,
                min_width=140,
                elem_id="replay-words",
            )
        found = gr.Dropdown(
            [],
            value=None,
            label="Situation",
            info="Choose a feeling or type words, then pick one",
            visible=there,
            elem_id="replay-found",
        )
        gr.Markdown(
            "The human is the listener of EmpatheticDialogues. The systems ran under different "
            "system prompts, so not every difference between them comes from training.",
            visible=there,
        )
        back = gr.Button("Back to the live models", size="sm", visible=there, elem_id="replay-back")

    def look(feeling: str, text: str) -> gr.Dropdown:
        try:
            hits = search(handlers.recorded(), None if feeling == _ANY else feeling, text or "")
        except EmpoError as error:
            return gr.Dropdown([], value=None, info=str(error))
        info = f"{len(hits)} found, the first 50 shown" if len(hits) == 50 else f"{len(hits)} found"
        return gr.Dropdown(
            [(f"{hit.title} ({hit.emotion})", hit.number) for hit in hits], value=None, info=info
        )

    gr.on(
        [emotion.change, words.change],
        look,
        [emotion, words],
        found,
        show_progress="hidden",
        api_visibility="private",
        trigger_mode="always_last",
    )
    return Replay(found, back)
