// Draws the parts of `props.value` (HTML that was escaped on the server) and sends back what is
// clicked. Only parts that have changed are drawn anew, so that nothing jumps and folds stay open.
// Runs inside gr.HTML, which provides: element, trigger, props, watch.
const drawn = {};

// The open run stands in the address, so that a refreshed page, or a copied link, opens it again.
function remember(name) {
  const query = new URLSearchParams(location.search);
  if (query.get("tab") !== "train" || query.get("run") === name) return;
  query.set("run", name);
  history.replaceState(history.state, "", `?${query}`);
}

function draw() {
  const value = props.value || {};
  if (value.open) remember(value.open);
  for (const node of element.querySelectorAll("[data-part]")) {
    const part = node.dataset.part;
    const html = value[part] || "";
    if (drawn[part] === html) continue;
    drawn[part] = html;
    const held = node.contains(document.activeElement) ? document.activeElement.dataset : null;
    const open = [...node.querySelectorAll("details")].map((fold) => fold.open);
    node.innerHTML = html;
    node.querySelectorAll("details").forEach((fold, at) => (fold.open = Boolean(open[at])));
    const fold = node.closest("[data-fold]");
    if (fold) fold.hidden = !html;
    if (held && held.do) {
      const names = [...node.querySelectorAll(`button[data-do="${held.do}"]`)];
      (names.find((button) => button.dataset.name === held.name) || names[0])?.focus({ preventScroll: true });
    }
  }
}

element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-do]");
  if (!button || button.disabled) return;
  if (button.dataset.sure && !button.dataset.armed) {
    const text = button.textContent;
    button.dataset.armed = "1";
    button.textContent = button.dataset.sure;
    setTimeout(() => {
      delete button.dataset.armed;
      button.textContent = text;
    }, 5000);
    return;
  }
  trigger("act", { kind: button.dataset.do, run: button.dataset.name });
});

element.addEventListener("change", (event) => {
  const box = event.target.closest("input[data-with]");
  if (box) trigger("act", { kind: box.checked ? "with" : "without", run: box.dataset.with });
});

watch("value", draw);
draw();
