"""Serve the page, as app.py does; the options are the same."""

from __future__ import annotations

import argparse
import os


def add(parser: argparse.ArgumentParser) -> None:
    """The page knows its own options."""


def run(args: argparse.Namespace) -> int:
    # Before gradio is imported; exactly this word.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    from empo.ui.app import main

    return main(args.rest) or 0
