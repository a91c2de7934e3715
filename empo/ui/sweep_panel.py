"""The dial's own place behind *More*: how far it may go, and the sweep with what it found."""

from __future__ import annotations

import gradio as gr

_TEMPLATE = """
<p class="about"><b>Alignment dial.</b> Choose <i>Dial</i> over a column to blend the weights of SFT
and DPO there.</p>
<label class="farther"><input type="checkbox" class="beyond"> Let it go beyond DPO, to 1.5</label>
<p class="about"><b>Sweep.</b> Answers the words in the box below the conversation, or else your
last message, at five places of the dial at once.</p>
<button type="button" class="begin">Sweep the dial</button>
<p class="notice" role="status"></p>
<div class="result"></div>
"""
_SCRIPT = """
const find = (name) => element.querySelector(name);
const beyond = find(".beyond");
beyond.addEventListener("change", () => window.dispatchEvent(
  new CustomEvent("empo-beyond", { detail: beyond.checked })));
find(".begin").addEventListener("click", () => {
  if (document.body.classList.contains("empo-running")) return;
  trigger("sweep", { beyond: beyond.checked });
});
const draw = () => {
  const v = props.value || {};
  const result = find(".result");
  const open = [...result.querySelectorAll("details[open]")].map((d) => d.dataset.key);
  result.innerHTML = v.html || "";
  for (const fold of result.querySelectorAll("details")) {
    fold.open = open.includes(fold.dataset.key);
  }
  result.setAttribute("aria-busy", String(Boolean(v.running)));
  find(".notice").textContent = v.notice || "";
};
watch("value", draw);
draw();
"""


def sweep_panel() -> gr.HTML:
    """The component; its event `sweep` carries `beyond`. Its value: html (inert), notice, running.

    Everything of people and models in `html` has been escaped (empo/ui/sweep_chart.py).
    """
    return gr.HTML(
        {}, html_template=_TEMPLATE, js_on_load=_SCRIPT, apply_default_css=False, elem_id="sweep"
    )
