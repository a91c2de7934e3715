"""Tabs have addresses: `/?tab=train` opens there, and a refreshed page opens where it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from empo.ui.compare_events import AT_ONCE
from empo.ui.compare_tab import CompareTab

FIRST = "compare"
# What the page's address is to be once a tab is opened; `run` is the Train tab's (trainer.js).
# A Space stands in a frame of the Hub's page, whose address follows when it is told.
_NOTE = """() => {
  const first = !window.empoTab;
  window.empoTab = "%(tab)s";
  // Gradio opens its first tab before it is told of the one in the address.
  if (first && "%(tab)s" === "compare") return;
  const query = new URLSearchParams(location.search);
  if ("%(tab)s" === "compare") query.delete("tab"); else query.set("tab", "%(tab)s");
  if ("%(tab)s" !== "train") query.delete("run");
  const said = query.toString();
  history.replaceState(history.state, "", location.pathname + (said && `?${said}`));
  if (document.referrer.startsWith("https://huggingface.co/")) {
    parent.postMessage({ queryString: said }, "https://huggingface.co");
  }
}"""


def tab_addresses(
    page: gr.Blocks, tabs: gr.Tabs, named: Mapping[str, gr.Tab], compare: CompareTab
) -> None:
    """Open the tab that the address asks for, and write into it which one is opened.

    The pickers of the Compare tab get what has come since the page was made.
    """

    def tab(request: gr.Request) -> tuple[Any, Any]:
        asked = request.query_params.get("tab", "")
        return gr.Tabs(selected=asked) if asked in named else gr.skip(), compare.handlers.models()

    page.load(tab, None, [tabs, compare.stage], **AT_ONCE)
    named[FIRST].select(compare.handlers.models, None, compare.stage, **AT_ONCE)
    for name, one in named.items():
        one.select(None, None, None, js=_NOTE % {"tab": name}, **AT_ONCE)
