"""Signing in with the Hub, on a Space that has it switched on (`hf_oauth: true`)."""

from __future__ import annotations

import gradio as gr

from empo.settings import Settings


def sign_in(config: Settings) -> gr.LoginButton | None:
    """The button; it also makes Gradio keep signed sessions, which owner.py reads.

    None anywhere else: there Gradio would let every visitor in as the machine's own user.
    """
    if not config.signs_in:
        return None
    return gr.LoginButton("Sign in with Hugging Face", size="sm", elem_id="sign-in")
