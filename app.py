"""Assembles the page and launches it. Hugging Face Spaces start this file."""

from __future__ import annotations

import os
import sys

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before gradio is imported; exactly this word
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

from empo.ui.app import main

if __name__ == "__main__":
    sys.exit(main())
