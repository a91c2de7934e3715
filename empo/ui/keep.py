"""Keep or share: downloads that the browser makes by itself, and a link that restores settings."""

from __future__ import annotations

import time
from dataclasses import dataclass

import gradio as gr

from empo.ui.transcript import MIME, Kind

# The text goes to the browser and is saved there: no file is made on the server.
_SAVE = """
watch("value", () => {
  const file = props.value;
  if (!file || !file.text) return;
  const address = URL.createObjectURL(new Blob([file.text], { type: file.mime }));
  const anchor = document.createElement("a");
  anchor.href = address;
  anchor.download = file.name;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
});
"""
COPY = "(link) => { navigator.clipboard?.writeText(link).catch(() => {}); }"


@dataclass(frozen=True)
class Keep:
    """The buttons by kind of file, the link's button and field, and what saves a file."""

    files: dict[Kind, gr.Button]
    share: gr.Button
    link: gr.Textbox
    saver: gr.HTML


def keep_panel() -> Keep:
    """Build it inside the current Blocks."""
    with gr.Accordion("Keep or share this conversation", open=False, elem_id="keep"):
        with gr.Row(elem_classes="plain-buttons"):
            files: dict[Kind, gr.Button] = {
                "html": gr.Button("Web page", size="sm", elem_id="save-html"),
                "markdown": gr.Button("Markdown", size="sm", elem_id="save-markdown"),
                "json": gr.Button("JSON", size="sm", elem_id="save-json"),
            }
            share = gr.Button("Copy a link", size="sm", elem_id="share")
        link = gr.Textbox(
            label="This link restores models, settings, seed and the first message",
            interactive=False,
            visible=False,
            buttons=["copy"],
            elem_id="link",
        )
        gr.Markdown("Files are made in your browser; nothing is stored on the server.")
        saver = gr.HTML(None, html_template="<i></i>", js_on_load=_SAVE, elem_id="saver")
    return Keep(files, share, link, saver)


def as_file(kind: Kind, name: str, text: str) -> dict[str, str | int]:
    """What the saver takes; the time makes a second click on the same file count."""
    return {"name": name, "mime": MIME[kind], "text": text, "at": time.time_ns()}
