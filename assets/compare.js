// Draws the columns from `props.value` (see empo/ui/view.py) and sends back what is clicked.
// Texts of people and models are only ever set as text, never as markup.
// Runs inside gr.HTML, which provides: element, trigger, props, watch.
const KEEP = "empo.compare";
const root = element.querySelector(".stage");
const spoken = element.querySelector(".spoken");
let shown = {};
let whole = {}; // what is shown, whole: an update may bring the pickers' models alone
let cards = new Map(); // exchange id → its nodes
let restored = false;
let asking = false; // until Gradio would take the next question: a moment longer than a turn runs

function make(tag, name, text) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  return node;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function button(name, text, label, act) {
  const node = make("button", name, text);
  node.type = "button";
  node.setAttribute("aria-label", label);
  node.title = label;
  node.addEventListener("click", act);
  return node;
}

// ---- the heads of the columns: who speaks where

const DIAL = "dial";
let wanted = []; // the columns as they are asked for: ahead of the server by a moment
let headed = []; // the nodes of each head
let beyond = false; // whether the dials may go beyond their usual range

function kindOf(head) {
  return head.dial === null ? head.model : DIAL;
}

function drawHeads(v) {
  wanted = [...v.columns];
  const key = JSON.stringify([v.heads.map(kindOf), v.models, v.dial, v.fixed]);
  if (shown.heads !== key) {
    shown.heads = key;
    headed = v.heads.map((h, at) => newHead(v, h, at));
    const heads = element.querySelector(".heads");
    heads.replaceChildren(...headed.map((nodes) => nodes.box));
    if (v.columns.length < 4 && !v.fixed) heads.append(adder(v));
    element.style.setProperty("--columns", v.columns.length);
  }
  v.heads.forEach((h, at) => fillHead(headed[at], h, v));
}

function newHead(v, h, at) {
  const box = make("div", "head");
  const plain = make("span", "plain");
  const row = make("span", "exact");
  box.append(plain, row);
  if (v.fixed) return { box, plain, fixed: row };
  const select = picker(v, h, at);
  row.append(select);
  if (v.columns.length > 1) {
    row.append(
      button("quiet", "×", `Take column ${at + 1} away`, () => {
        wanted = wanted.filter((_, i) => i !== at);
        trigger("move", { kind: "columns", columns: wanted });
      }),
    );
  }
  const dial = h.dial === null ? null : newDial(v, at);
  if (dial) box.append(dial.box);
  return { box, plain, select, dial };
}

function fillHead(nodes, h, v) {
  nodes.box.style.setProperty("--tint", h.colour);
  const hash = h.hash ? `adapter ${h.hash}` : "the base, no adapter";
  nodes.box.title = [h.note, hash].filter(Boolean).join(" · ");
  if (nodes.fixed) setText(nodes.fixed, h.label);
  else nodes.select.value = kindOf(h);
  if (nodes.dial) fillDial(nodes, h.dial, v);
  else setText(nodes.plain, h.plain);
}

function picker(v, h, at) {
  const select = make("select");
  select.setAttribute("aria-label", `Model of column ${at + 1}`);
  const kinds = v.models.map((m) => [m.model, m.label]);
  if (v.dial) kinds.push([DIAL, `Dial ${v.dial.ends.join("–")}`]);
  for (const [value, label] of kinds) {
    const option = make("option", "", label);
    option.value = value;
    option.selected = value === kindOf(h);
    select.append(option);
  }
  select.addEventListener("change", () => choose(at, select.value === DIAL ? dialName(0.5) : select.value));
  return select;
}

function choose(at, name) {
  wanted[at] = name;
  trigger("move", { kind: "columns", columns: [...wanted] });
}

function adder(v) {
  return button("add", "+", "Add a column", () => {
    const free = v.models.find((m) => !wanted.includes(m.model));
    const name = free ? free.model : v.dial ? dialName(0.5) : v.models[0].model;
    wanted = [...wanted, name];
    trigger("move", { kind: "columns", columns: wanted });
  });
}

// ---- the alignment dial over a column: weights (1 - t) and t of SFT and DPO (empo/models/dial.py)

function dialName(t) {
  return `dial:${Number(Number(t).toFixed(2))}`;
}

function weights(t, ends) {
  const shares = [Number((1 - t).toFixed(2)), Number(Number(t).toFixed(2))];
  const told = shares.map((share, i) => `${String(share).replace("-", "−")} ${ends[i]}`);
  return told.filter((_, i) => shares[i]).join(" + ");
}

function newDial(v, at) {
  const box = make("span", "dial");
  const slide = make("input");
  slide.type = "range";
  slide.min = 0;
  slide.step = v.dial.step;
  slide.setAttribute("aria-label", `Alignment dial of column ${at + 1}, from ${v.dial.ends.join(" to ")}`);
  const value = make("output");
  const dial = { box, slide, value, waits: 0 };
  const send = () => {
    clearTimeout(dial.waits);
    dial.waits = 0;
    if (wanted[at] !== dialName(slide.value)) choose(at, dialName(slide.value));
  };
  slide.addEventListener("input", () => tellDial(headed[at], whole));
  // Arrow keys change it step by step: one question when they rest, or when the slider is left.
  slide.addEventListener("change", () => {
    clearTimeout(dial.waits);
    dial.waits = setTimeout(send, 200);
  });
  slide.addEventListener("blur", () => dial.waits && send());
  box.append(make("small", "", v.dial.ends[0]), slide, make("small", "", v.dial.ends[1]), value);
  return dial;
}

function fillDial(nodes, t, v) {
  const { slide, waits } = nodes.dial;
  slide.max = beyond || t > v.dial.usual ? v.dial.farthest : v.dial.usual;
  slide.disabled = v.running;
  // Not while it is being moved: an answer to an earlier place would throw it back.
  if (!waits && document.activeElement !== slide) slide.value = t;
  tellDial(nodes, v);
}

function tellDial(nodes, v) {
  const told = weights(nodes.dial.slide.value, v.dial.ends);
  setText(nodes.plain, told);
  setText(nodes.dial.value, String(Number(nodes.dial.slide.value)));
  nodes.dial.slide.setAttribute("aria-valuetext", told);
}

// Sent by the checkbox behind *More* (empo/ui/sweep_panel.py).
window.addEventListener("empo-beyond", (event) => {
  beyond = event.detail;
  if (whole.heads) drawHeads(whole);
});

// ---- the turns

function drawTurns(v) {
  const wanted = new Set(v.turns.map((turn) => turn.id));
  for (const [id, card] of cards) {
    if (!wanted.has(id)) {
      card.box.remove();
      cards.delete(id);
    }
  }
  v.turns.forEach((turn, at) => {
    let card = cards.get(turn.id);
    const models = [v.fixed, ...turn.answers.map((a) => a.model)].join();
    if (!card || card.models !== models) {
      if (card) card.box.remove();
      card = newTurn(turn, v.fixed);
      cards.set(turn.id, card);
    }
    if (root.children[at] !== card.box) root.insertBefore(card.box, root.children[at] || null);
    fillTurn(card, turn, v);
  });
}

function newTurn(turn, fixed) {
  const box = make("article", "turn");
  const said = make("div", "said");
  const text = make("p", "message");
  const tools = make("span", "tools");
  said.append(make("span", "who", fixed ? "Speaker" : "You"), text, tools);
  const replies = make("div", "replies");
  const line = make("p", "pace");
  const follow = make("p", "follows");
  const answers = turn.answers.map((answer, at) => newAnswer(turn, answer, at));
  replies.style.setProperty("--columns", answers.length);
  replies.append(...answers.map((a) => a.box));
  box.append(follow, said, replies, line);
  const models = [fixed, ...turn.answers.map((a) => a.model)].join();
  return { box, text, tools, line, follow, answers, models, told: new Set() };
}

function newAnswer(turn, answer, at) {
  const box = make("section", "reply");
  box.style.setProperty("--tint", answer.colour);
  box.setAttribute("aria-label", `Reply of ${answer.label}`);
  const name = make("p", "name");
  name.append(make("b", "", answer.label), make("span", "", answer.plain));
  if (answer.hash) name.title = `adapter ${answer.hash}`;
  const text = make("p", "text");
  const foot = make("p", "foot");
  const length = make("span", "length");
  const go = button("quiet go", "continue from this", `Continue from the reply of ${answer.label}`, () =>
    trigger("move", { kind: "follow", id: turn.id, column: at }),
  );
  const stop = button("quiet halt", "stop", `Stop ${answer.label}`, () =>
    trigger("halt", { column: at }),
  );
  foot.append(length, stop, go);
  const row = make("div", "gauges");
  const gauges = [newGauge(), newGauge(), newGauge()];
  row.append(...gauges.map((g) => g.box));
  box.append(name, text, row, foot);
  return { box, text, length, go, stop, gauges };
}

// A gauge keeps its nodes; only widths and words change, so that nothing moves.
function newGauge() {
  const box = make("div", "gauge");
  box.setAttribute("role", "img");
  const name = make("span", "of");
  const word = make("span", "word");
  const track = make("span", "track");
  const level = make("i", "level");
  const tick = make("i", "tick");
  track.append(level, tick);
  box.append(name, word, track);
  return { box, name, word, track, level, tick };
}

function fillGauge(nodes, gauge, at, caution) {
  const tip = `${gauge.tip} ${caution}`;
  setText(nodes.name, gauge.name);
  nodes.name.className = `of w w${at}`;
  setText(nodes.word, gauge.word);
  nodes.box.title = tip;
  nodes.box.setAttribute("aria-label", tip);
  nodes.level.style.width = `${100 * (gauge.share || 0)}%`;
  nodes.box.classList.toggle("unmeasured", gauge.share === null);
  nodes.tick.hidden = gauge.tick === null;
  nodes.tick.style.left = `${100 * (gauge.tick || 0)}%`;
}

// The reply in pieces, the marked ones in spans of their own; all of it as text nodes.
function fillText(nodes, answer) {
  const key = JSON.stringify(answer.parts);
  if (nodes.parts === key) return;
  nodes.parts = key;
  if (!answer.parts.some((part) => part.why.length)) {
    nodes.text.textContent = answer.text;
    return;
  }
  nodes.text.replaceChildren(
    ...answer.parts.map((part) => {
      // One span around the other, so that every mechanism draws its own underline.
      let piece = document.createTextNode(part.text);
      for (const n of part.why) {
        const span = make("span", `w w${n}`);
        span.append(piece);
        piece = span;
      }
      return piece;
    }),
  );
}

function fillTurn(card, turn, v) {
  setText(card.text, turn.message);
  setText(card.line, turn.line);
  setText(card.follow, turn.follows ? `All voices go on from the reply of ${turn.follows}` : "");
  card.follow.hidden = !turn.follows;
  drawTools(card, turn, v);
  turn.answers.forEach((answer, at) => {
    const nodes = card.answers[at];
    fillText(nodes, answer);
    answer.gauges.forEach((gauge, n) => fillGauge(nodes.gauges[n], gauge, n, v.caution));
    const waits = !answer.done && !answer.text;
    nodes.box.classList.toggle("waits", waits);
    nodes.box.classList.toggle("writes", !answer.done);
    setText(nodes.length, answer.done ? answer.foot : waits ? "thinking" : "writing");
    nodes.stop.hidden = answer.done || !v.running;
    nodes.go.hidden = !answer.done || !answer.text || v.running || v.example || v.fixed;
    if (answer.done && v.running && !card.told.has(at)) {
      card.told.add(at);
      spoken.append(make("p", "", `${answer.label}: ${answer.text}`));
      while (spoken.children.length > 8) spoken.firstChild.remove();
    }
  });
}

function drawTools(card, turn, v) {
  const key = JSON.stringify([turn.at, turn.of, turn.back, turn.on, v.running, v.example, v.fixed]);
  if (card.key === key) return;
  card.key = key;
  const tools = [];
  if (turn.of > 1) {
    const back = button("quiet", "‹", "Earlier version", () => trigger("move", { kind: "version", id: turn.back }));
    const on = button("quiet", "›", "Later version", () => trigger("move", { kind: "version", id: turn.on }));
    back.disabled = turn.back === null || v.running;
    on.disabled = turn.on === null || v.running;
    tools.push(back, make("span", "count", `${turn.at} of ${turn.of}`), on);
  }
  if (!v.running && !v.example && !v.fixed) {
    tools.push(button("quiet", "edit", "Edit this message", () => edit(card, turn)));
  }
  card.tools.replaceChildren(...tools);
}

function edit(card, turn) {
  const area = make("textarea", "edit");
  area.value = turn.message;
  area.maxLength = 8000;
  area.setAttribute("aria-label", "Edit this message");
  const done = () => {
    area.replaceWith(card.text);
    card.key = "";
    drawTools(card, turn, whole);
  };
  const send = () => {
    const text = area.value.trim();
    done();
    if (text && text !== turn.message) trigger("edit", { id: turn.id, text });
  };
  area.addEventListener("keydown", (event) => {
    if (event.key === "Escape") done();
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      send();
    }
  });
  card.text.replaceWith(area);
  card.tools.replaceChildren(
    button("quiet", "send", "Send the edited message", send),
    button("quiet", "cancel", "Leave it as it was", done),
  );
  area.focus();
}

// ---- what stays in this browser tab: shown texts survive a reload, and end with the tab

// The query without what other tabs write into it.
function address() {
  const query = new URLSearchParams(location.search);
  query.delete("tab");
  query.delete("run");
  return query.toString();
}

function keep(v) {
  try {
    if (v.keep && v.keep.exchanges.length) {
      const kept = { conversation: v.keep, columns: v.columns, query: address() };
      sessionStorage.setItem(KEEP, JSON.stringify(kept));
    } else if (restored && !v.example) {
      sessionStorage.removeItem(KEEP);
    }
  } catch (error) {
    /* storage may be forbidden or full: the page works without it */
  }
}

// A conversation kept under this very address comes back. A link's settings are taken over either
// way; its models and message only where there is nothing to come back to.
function restore() {
  restored = true;
  let kept = null;
  try {
    kept = JSON.parse(sessionStorage.getItem(KEEP));
  } catch (error) {
    /* as above */
  }
  const query = Object.fromEntries(new URLSearchParams(location.search));
  const back = kept && kept.query === address();
  if (Object.keys(query).length) trigger("opened", { query, fresh: !back });
  if (back) trigger("move", { kind: "restore", ...kept });
}

function draw() {
  whole = props.value?.turns ? props.value : { ...whole, ...props.value };
  if (!whole.turns) return;
  asking ||= whole.running;
  const v = { ...whole, running: asking };
  const last = v.turns.length ? v.turns[v.turns.length - 1].id : 0;
  element.querySelector(".example").hidden = !v.example;
  element.querySelector(".empty").hidden = v.turns.length > 0;
  element.querySelector(".care").hidden = !v.care;
  const notice = element.querySelector(".notice");
  setText(notice, v.notice || (v.follow ? `Next, all voices go on from the reply of ${v.follow}.` : ""));
  drawHeads(v);
  drawTurns(v);
  element.querySelector(".whyline").hidden = v.turns.length === 0;
  root.classList.toggle("still", v.example || Boolean(v.fixed));
  document.body.classList.toggle("empo-running", v.running);
  if (v.running && last !== shown.last && cards.get(last)) {
    cards.get(last).box.scrollIntoView({ block: "nearest", behavior: "smooth" });
  }
  shown.last = last;
  keep(v);
}

const why = element.querySelector("button.why");
why.addEventListener("click", () => {
  const on = element.classList.toggle("shows-why");
  why.setAttribute("aria-pressed", String(on));
  why.textContent = on ? "Hide why" : "Show why";
});

// Sent when Gradio is done with a question (empo/ui/compare_events.py).
window.addEventListener("empo-idle", () => {
  asking = false;
  draw();
});
watch("value", draw);
draw();
restore();
