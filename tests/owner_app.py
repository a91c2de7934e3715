"""A page with one function that is for its owner, for test_owner.py.

    python -m tests.owner_app --port N --marks FILE

Every call that passes leaves a line in FILE.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import gradio as gr

from empo.errors import EmpoError
from empo.settings import settings
from empo.ui.launch import launch
from empo.ui.owner import Gate, require_owner, visitor
from empo.ui.sign_in import sign_in


def build(marks: Path) -> gr.Blocks:
    """The page; its functions are number 0 (act, public), 1 (act, private) and 2 (who votes)."""

    def act(text: str, request: gr.Request) -> str:
        try:
            require_owner(request)
        except EmpoError as error:
            raise gr.Error(str(error), print_exception=False) from error
        with marks.open("a") as file:
            file.write(f"{text}\n")
        return "done"

    def who(request: gr.Request) -> str:
        try:
            return visitor(request)
        except EmpoError as error:
            raise gr.Error(str(error), print_exception=False) from error

    with gr.Blocks(analytics_enabled=False) as page:
        box, out = gr.Textbox(), gr.Textbox()
        gr.Button("act").click(act, box, out, api_name="act")
        gr.Button("hidden", visible=False).click(act, box, out, api_visibility="private")
        gr.Button("who").click(who, None, out, api_name="who")
        sign_in(settings())
    return page.queue(api_open=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--marks", type=Path, required=True)
    args = parser.parse_args()
    page = build(args.marks)
    launch(page, Gate(settings(), "0.0.0.0", args.port, key=b"k" * 32), "127.0.0.1", args.port)
    print("ready", flush=True)
    page.block_thread()


if __name__ == "__main__":
    main()
