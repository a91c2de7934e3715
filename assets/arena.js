// Draws the Arena tab from `props.value` (see empo/ui/arena_view.py) and sends back what is done.
// Texts of people and models are only ever set as text, never as markup. Before the vote nothing
// here knows more about a side than its words.
const KEEP = "empo.arena";
const CHOICES = [
  ["a", "A is better"],
  ["b", "B is better"],
  ["tie", "Tie"],
  ["both_bad", "Both bad"],
];
const QUESTIONS = [
  ["appropriate", "Suits the situation"],
  ["emotion", "Answers the feeling"],
  ["natural", "Sounds natural"],
  ["go_on", "I would go on talking"],
];
const SIDES = ["a", "b"];

function make(tag, name, text) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  return node;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function button(name, text, act) {
  const node = make("button", name, text);
  node.type = "button";
  node.addEventListener("click", act);
  return node;
}

export function start({ element, props, watch, root, play, act }) {
  const sheet = document.createElement("link");
  sheet.rel = "stylesheet";
  sheet.href = `${root}/empo/arena.css`;
  const page = new Page(element, play, act);
  // Nothing is drawn before it has its style.
  sheet.addEventListener("load", () => page.open(props.value));
  sheet.addEventListener("error", () => page.open(props.value));
  document.head.append(sheet);
  watch("value", () => page.take(props.value));
}

class Page {
  constructor(element, play, act) {
    this.element = element.closest("#arena") || element;
    this.sendPlay = play;
    this.sendAct = act;
    this.view = null;
    this.rounds = [];
    this.here = element.querySelector(".here");
  }

  open(view) {
    let kept = {};
    try {
      kept = JSON.parse(sessionStorage.getItem(KEEP)) || {};
    } catch (error) {
      /* storage may be forbidden: the page works without it */
    }
    this.build();
    this.draw(view);
    document.addEventListener("keydown", (event) => this.key(event));
    this.resuming = true;
    this.mode = kept.mode || view.mode;
    this.act({ kind: "restore", token: kept.token || "", mode: this.mode });
  }

  take(value) {
    if (!value || !this.notice) return;
    if ("standing" in value) this.drawStanding(value.standing);
    else this.draw(value);
  }

  // ---- what is sent

  play(data) {
    this.hold();
    this.sendPlay({ mode: this.mode, token: this.view.token, ...data });
  }

  act(data) {
    this.hold();
    this.sendAct({ mode: this.mode, token: this.view ? this.view.token : "", ...data });
  }

  // Between a click and its answer nothing can be clicked twice; an answer that never comes, or
  // that changes nothing, must not leave the page dead.
  hold() {
    this.element.classList.add("held");
    clearTimeout(this.letGo);
    this.letGo = setTimeout(() => this.element.classList.remove("held"), 4000);
  }

  deal(text) {
    this.play({ kind: "deal", text: text || "", token: "" });
  }

  send() {
    const text = this.box.value.trim();
    if (!text || this.busy()) return;
    this.box.value = "";
    if (this.view.phase === "choose") this.play({ kind: "say", text });
    else this.deal(text);
  }

  vote(choice) {
    if (this.view.phase !== "choose" || this.element.classList.contains("held")) return;
    this.act({ kind: "vote", choice, ratings: this.ratings(), reason: this.reason.value });
  }

  ratings() {
    if (!this.rated) return null;
    const found = {};
    for (const side of SIDES) {
      found[side] = { consistent: this.ticks[side].checked };
      for (const [name] of QUESTIONS) found[side][name] = Number(this.sliders[side][name].value);
    }
    return found;
  }

  key(event) {
    const at = ["1", "2", "3", "4"].indexOf(event.key);
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    const other = event.ctrlKey || event.metaKey || event.altKey || event.repeat;
    if (at < 0 || typing || other || !this.element.offsetParent) return;
    event.preventDefault();
    this.vote(CHOICES[at][0]);
  }

  busy() {
    return ["waiting", "writing"].includes(this.view.phase);
  }

  // ---- built once

  build() {
    this.modes = make("div", "modes");
    this.modes.setAttribute("role", "group");
    this.modes.setAttribute("aria-label", "Kind of replies");
    this.dealer = make("div", "dealer");
    this.dealButton = button("primary deal", "Deal a situation", () => this.deal());
    this.orSay = make("span", "or", "or say below what happened to you");
    this.dealer.append(this.dealButton, this.orSay);
    this.context = make("div", "context");
    this.stage = make("div", "stage");
    this.notice = make("p", "notice");
    this.notice.setAttribute("role", "status");
    this.spoken = make("div", "spoken");
    this.spoken.setAttribute("aria-live", "polite");
    this.stopped = make("p", "stopped");
    this.stopped.append(
      button("primary again", "Try again", () => this.play({ kind: "resume" })),
      button("deal", "Another situation", () => this.deal()),
    );
    this.reveal = make("div", "reveal");
    this.standing = make("div", "standing");
    this.here.append(
      ...[this.modes, this.dealer, this.context, this.stage, this.notice, this.stopped],
      ...[this.buildBar(), this.reveal, this.buildTalk(), this.buildDetail(), this.skip],
      ...[this.standing, this.spoken],
    );
  }

  buildBar() {
    this.bar = make("div", "bar");
    this.bar.setAttribute("role", "group");
    this.bar.setAttribute("aria-label", "Your vote");
    CHOICES.forEach(([choice, label], at) => {
      const node = button("choice", label, () => this.vote(choice));
      node.dataset.choice = choice;
      node.setAttribute("aria-keyshortcuts", String(at + 1));
      const key = make("kbd", "", String(at + 1));
      key.setAttribute("aria-hidden", "true");
      node.append(key);
      this.bar.append(node);
    });
    return this.bar;
  }

  buildTalk() {
    this.talk = make("div", "talk");
    this.box = make("textarea");
    this.box.rows = 1;
    this.box.maxLength = 8000;
    this.box.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.send();
    });
    this.talk.append(this.box, button("send", "Send", () => this.send()));
    return this.talk;
  }

  buildDetail() {
    this.detail = make("details", "detail");
    this.detail.append(make("summary", "", "Rate in detail"));
    const grid = make("div", "grid");
    grid.append(make("span"), make("b", "", "A"), make("b", "", "B"));
    this.sliders = { a: {}, b: {} };
    this.ticks = {};
    for (const [name, label] of QUESTIONS) {
      grid.append(make("span", "question", label));
      for (const side of SIDES) grid.append(this.slider(side, name, label));
    }
    grid.append(make("span", "question", "Understandable and consistent"));
    for (const side of SIDES) grid.append(this.tick(side));
    this.reason = make("input", "reason");
    this.reason.maxLength = 500;
    this.reason.placeholder = "Why? (if you like, in a few words)";
    this.reason.setAttribute("aria-label", "Reason for your vote");
    this.detail.append(grid, this.reason);
    this.skip = button("quiet skip", "Skip this one", () => this.deal());
    return this.detail;
  }

  slider(side, name, label) {
    const box = make("label", "slide");
    const input = make("input");
    input.type = "range";
    input.min = 0;
    input.max = 100;
    input.value = 50;
    input.setAttribute("aria-label", `${label}, reply ${side.toUpperCase()}`);
    const shown = make("output", "", "50");
    input.addEventListener("input", () => {
      this.rated = true;
      shown.textContent = input.value;
    });
    this.sliders[side][name] = input;
    box.append(input, shown);
    return box;
  }

  tick(side) {
    const box = make("label", "slide");
    const input = make("input");
    input.type = "checkbox";
    input.setAttribute("aria-label", `Understandable and consistent, reply ${side.toUpperCase()}`);
    input.addEventListener("change", () => (this.rated = true));
    this.ticks[side] = input;
    box.append(input);
    return box;
  }

  resetDetail() {
    this.rated = false;
    this.detail.open = false;
    this.reason.value = "";
    for (const side of SIDES) {
      this.ticks[side].checked = false;
      for (const input of Object.values(this.sliders[side])) {
        input.value = 50;
        input.nextSibling.textContent = "50";
      }
    }
  }

  // ---- drawn anew with every view

  draw(view) {
    const before = this.view || {};
    this.view = view;
    this.mode = view.mode;
    this.element.classList.remove("held");
    this.element.dataset.phase = view.phase;
    if (view.token !== before.token && view.phase !== "voted") this.resetDetail();
    const busy = this.busy();
    const chooses = view.phase === "choose";
    const over = view.phase === "voted" || view.phase === "start";
    this.drawModes(view, busy);
    this.drawContext(view);
    this.drawRounds(view);
    setText(this.notice, view.notice || (view.phase === "waiting" ? "Both are writing." : ""));
    this.element.querySelector(".care").hidden = !view.care;
    this.dealer.hidden = view.phase !== "start";
    const live = view.mode === "live";
    this.orSay.hidden = !live;
    this.stopped.hidden = view.phase !== "stopped";
    this.bar.hidden = over || view.phase === "stopped";
    for (const node of this.bar.children) node.disabled = !chooses;
    this.detail.hidden = !chooses;
    this.skip.hidden = !chooses;
    this.talk.hidden = !live || busy || view.phase === "stopped";
    this.box.placeholder = chooses ? "Say more to both before you vote …" : "Say what happened to you …";
    this.box.setAttribute("aria-label", this.box.placeholder);
    if (view.box) this.box.value = view.box;
    this.drawReveal(view.reveal);
    this.keep(view);
    this.follow(view, before);
  }

  // What comes next by itself: an interrupted battle goes on, a vote shows how the ranking stands.
  follow(view, before) {
    if (this.resuming && view.phase === "stopped") this.play({ kind: "resume" });
    if (view.token || view.phase !== "start") this.resuming = false;
    if (view.phase === "choose" && before.phase === "writing") {
      const last = view.rounds[view.rounds.length - 1];
      setText(this.spoken, `Reply A: ${last.a} Reply B: ${last.b}`);
    }
    const fresh = view.phase !== before.phase || view.mode !== before.mode || !before.modes;
    const asks = view.phase === "voted" || (view.phase === "start" && view.modes.length);
    if (fresh && asks) this.sendAct({ kind: "standing", mode: view.mode });
    else if (view.phase === "waiting" || view.phase === "writing") this.drawStanding(null);
  }

  keep(view) {
    try {
      sessionStorage.setItem(KEEP, JSON.stringify({ token: view.token, mode: view.mode }));
    } catch (error) {
      /* as above */
    }
  }

  drawModes(view, busy) {
    const key = JSON.stringify([view.modes, view.mode, busy]);
    if (this.modesKey === key) return;
    this.modesKey = key;
    const nodes = view.modes.map(({ id, label }) => {
      const node = button("mode", label, () => {
        this.mode = id;
        this.act({ kind: "restore", token: "", mode: id });
      });
      node.setAttribute("aria-pressed", String(id === view.mode));
      node.disabled = busy;
      return node;
    });
    this.modes.replaceChildren(...nodes);
  }

  drawContext(view) {
    const key = JSON.stringify(view.context);
    if (this.contextKey === key) return;
    this.contextKey = key;
    this.context.replaceChildren(
      ...view.context.map((turn) => {
        const line = make("p", `said ${turn.role}`);
        line.append(make("span", "who", turn.role === "user" ? "Speaker" : "Listener"));
        line.append(make("span", "", turn.text));
        return line;
      }),
    );
  }

  drawRounds(view) {
    while (this.rounds.length > view.rounds.length) this.rounds.pop().box.remove();
    view.rounds.forEach((round, at) => {
      if (!this.rounds[at]) {
        this.rounds.push(this.newRound());
        this.stage.append(this.rounds[at].box);
      }
      const nodes = this.rounds[at];
      const last = at === view.rounds.length - 1;
      setText(nodes.message, round.message);
      setText(nodes.who, round.who);
      SIDES.forEach((side, n) => {
        const card = nodes.cards[n];
        setText(card.text, round[side]);
        card.box.classList.toggle("writes", last && this.busy());
        this.drawName(card, last && view.reveal ? view.reveal.sides[n] : null, view.reveal, side);
      });
    });
  }

  newRound() {
    const box = make("article", "round");
    const said = make("p", "said");
    const who = make("span", "who");
    const message = make("span", "message");
    said.append(who, message);
    const row = make("div", "cards");
    const cards = ["A", "B"].map((letter) => {
      const card = make("section", "card");
      card.setAttribute("aria-label", `Reply ${letter}`);
      const head = make("p", "name");
      const name = make("span", "model");
      head.append(make("b", "letter", letter), name);
      const text = make("p", "text");
      const gauges = make("div", "gauges");
      card.append(head, text, gauges);
      row.append(card);
      return { box: card, name, text, gauges, head };
    });
    box.append(said, row);
    return { box, who, message, cards };
  }

  drawName(card, side, reveal, seat) {
    const chosen = Boolean(side) && reveal.outcome === seat;
    card.box.classList.toggle("turned", Boolean(side));
    card.box.classList.toggle("chosen", chosen);
    if (!side) {
      card.box.style.removeProperty("--tint");
      card.name.replaceChildren();
      card.gauges.replaceChildren();
      card.head.removeAttribute("title");
      return;
    }
    card.box.style.setProperty("--tint", side.colour);
    card.name.replaceChildren(make("b", "", side.label), ` ${side.plain}`);
    if (side.proof) card.head.title = side.proof;
    card.gauges.replaceChildren(
      ...side.gauges.map((gauge) => {
        const box = make("div", "gauge");
        box.title = gauge.tip;
        box.setAttribute("role", "img");
        box.setAttribute("aria-label", gauge.tip);
        const track = make("span", "track");
        const level = make("i", "level");
        level.style.width = `${100 * (gauge.share || 0)}%`;
        level.hidden = gauge.share === null;
        track.append(level);
        if (gauge.tick !== null) {
          const tick = make("i", "tick");
          tick.style.left = `${100 * gauge.tick}%`;
          track.append(tick);
        }
        box.append(make("span", "of", gauge.name), track, make("span", "word", gauge.word));
        return box;
      }),
    );
  }

  drawReveal(reveal) {
    this.reveal.hidden = !reveal;
    const key = JSON.stringify(reveal);
    if (this.revealKey === key) return;
    this.revealKey = key;
    if (!reveal) return this.reveal.replaceChildren();
    const sentence = make("p", "verdict", `You said: ${reveal.said}. `);
    if (reveal.others) sentence.append(make("b", "others", reveal.others));
    const row = make("p", "after");
    row.append(button("primary next", "Next situation", () => this.deal()));
    row.append(button("quiet withdraw", "Withdraw my vote", () => this.act({ kind: "withdraw" })));
    if (reveal.erasable && !reveal.erased) {
      row.append(button("quiet erase", "Erase my words", () => this.act({ kind: "erase" })));
    }
    this.reveal.replaceChildren(
      sentence,
      ...reveal.flags.map((flag) => make("p", "flag", flag)),
      row,
    );
  }

  drawStanding(found) {
    this.element.classList.remove("held");
    this.standing.hidden = !found;
    if (!found) return;
    const nodes = [make("p", "sentence", [found.sentence, found.hint].filter(Boolean).join(" "))];
    if (found.taste) {
      const table = make("table", "taste");
      const head = make("tr");
      const title = make("th", "", `Your taste, from ${found.taste.votes} votes`);
      head.append(title, make("th", "", "you"), make("th", "", "everybody"));
      table.append(head, ...found.taste.rows.map((row) => this.taste(row)));
      nodes.push(table);
    }
    this.standing.replaceChildren(...nodes);
  }

  taste(row) {
    const line = make("tr");
    line.append(make("td", "", row.label));
    for (const share of [row.mine, row.all]) {
      const cell = make("td", "share");
      if (share === null) cell.textContent = "not measured";
      else {
        const bar = make("i");
        bar.style.width = `${share * 64}px`;
        bar.style.background = row.colour;
        cell.append(bar, `${Math.round(100 * share)} % won`);
      }
      line.append(cell);
    }
    return line;
  }
}
