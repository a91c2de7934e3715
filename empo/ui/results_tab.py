"""The Results tab: one component, whose contents come when the tab is first seen."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gradio as gr

from empo.errors import EmpoError
from empo.ui import results_view as view
from empo.ui.owner import is_owner, require_owner
from empo.ui.results import Results, Wish
from empo.ui.services import Services

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
# Gradio looks for the names of events in the script: trigger("show") and so on.
_SCRIPT = """
const part = (name) => element.querySelector(`[data-part=${name}]`);
const wish = {}, was = {}; let timer = 0, busy = false;
const draw = () => {
  const v = props.value || {};
  Object.assign(wish, v.chosen || {});
  for (const name of ["form", "status", "report", "behind"]) {
    const here = part(name);
    if (v[name] === undefined || was[name] === v[name]) continue;
    const open = [...here.querySelectorAll("details[open]")].map((d) => d.dataset.key);
    const first = !was[name];
    here.innerHTML = was[name] = v[name];
    if (!first) for (const d of here.querySelectorAll("details[data-key]"))
      d.open = open.includes(d.dataset.key);
    if (name === "behind" && v[name]) here.scrollIntoView({block: "nearest"});
  }
  clearTimeout(timer);
  if (v.running !== undefined) busy = v.running;
  if (busy) timer = setTimeout(() => trigger("look", {...wish}), 1200);
};
watch("value", draw); draw();
new IntersectionObserver((seen, own) => {
  if (seen.some((s) => s.isIntersecting)) { own.disconnect(); trigger("show", {...wish}); }
}).observe(element);
element.addEventListener("change", async (e) => {
  const t = e.target;
  if (["report", "other", "metric"].includes(t.name)) {
    wish[t.name] = t.value; trigger("pick", {...wish});
  } else if (t.type === "file" && t.files[0]) {
    element.querySelector("textarea").value = (await t.files[0].text()).slice(0, 500000);
    element.querySelector("[value=situations]").checked = true;
  }
});
element.addEventListener("click", (e) => {
  const b = e.target.closest("button"); if (!b) return;
  if (b.dataset.do === "stop") trigger("halt", {name: b.dataset.name});
  if (b.dataset.do === "again") trigger("again", {name: b.dataset.name});
  if (b.dataset.system) trigger("behind", {...wish, system: b.dataset.system,
    emotion: b.dataset.emotion});
  if (b.dataset.do === "start") {
    const f = part("form"), what = f.querySelector("[name=what]:checked").value;
    trigger("begin", {
      models: [...f.querySelectorAll("[name=model]:checked")].map((m) => m.value),
      dialogues: what === "dialogues" ? Number(f.querySelector("[name=count]").value) : null,
      situations: f.querySelector("textarea").value,
    });
  }
});
"""
_TEMPLATE = "".join(
    f'<div data-part="{name}"></div>' for name in ("form", "status", "report", "behind")
)


class ResultsTab:
    """Builds the tab inside the current Blocks and wires it."""

    def __init__(self, services: Services) -> None:
        self.results = Results(services)
        self.stage = gr.HTML(
            {},
            html_template=_TEMPLATE,
            js_on_load=_SCRIPT,
            apply_default_css=False,
            elem_id="results",
        )
        for name in ("show", "look", "pick", "behind", "begin", "halt", "again"):
            listen = getattr(self.stage, name)
            listen(self._new(getattr(self, name)), None, self.stage, **QUIET, concurrency_limit=8)

    @staticmethod
    def _new(handler: Callable[[gr.EventData, gr.Request], dict[str, Any]]):
        """The same pieces twice would not be seen as a change, and nobody would look again."""

        def handled(event: gr.EventData, request: gr.Request) -> dict[str, Any]:
            return {**handler(event, request), "at": time.monotonic()}

        return handled

    def show(self, event: gr.EventData, request: gr.Request) -> dict[str, Any]:
        parts = self.results.show(Wish.of(_data(event)), is_owner(request))
        return {**parts, "form": view.STYLE + parts["form"]}

    def look(self, event: gr.EventData, request: gr.Request) -> dict[str, Any]:
        return self.results.look(Wish.of(_data(event)), is_owner(request))

    def pick(self, event: gr.EventData, request: gr.Request) -> dict[str, Any]:
        return self.results.report(Wish.of(_data(event)))

    def behind(self, event: gr.EventData, request: gr.Request) -> dict[str, Any]:
        return self.results.behind(Wish.of(_data(event)))

    def begin(self, event: gr.EventData, request: gr.Request) -> dict[str, Any]:
        return self._act(self.results.start, event, request)

    def halt(self, event: gr.EventData, request: gr.Request) -> dict[str, Any]:
        return self._act(self.results.stop, event, request)

    def again(self, event: gr.EventData, request: gr.Request) -> dict[str, Any]:
        return self._act(self.results.resume, event, request)

    def _act(
        self,
        act: Callable[[dict[str, Any]], dict[str, Any]],
        event: gr.EventData,
        request: gr.Request,
    ) -> dict[str, Any]:
        try:
            require_owner(request)
        except EmpoError as error:
            return {"status": view.problem(str(error))}
        return act(_data(event))


def _data(event: gr.EventData) -> dict[str, Any]:
    return event._data if isinstance(event._data, dict) else {}
