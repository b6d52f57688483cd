// The page's side of the panel. What travels is described in panel.py. A view keeps the number of the next trace it
// needs; it shows what comes in order, drops what it has, and asks for what it misses.

function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
}

const STILL = window.matchMedia("(prefers-reduced-motion: reduce)");
const clock = (at) => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
const duration = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

function pretty(payload) {
  try {
    return JSON.stringify(JSON.parse(payload), null, 1);
  } catch {
    return payload; // cut, since it is long
  }
}

// A turn as a line: the wait for the first message, then a mark for each trace that came, messages in colour.
function timeline(traces) {
  const lane = make("div", "snb-lane");
  const came = traces.filter((trace) => trace.direction === "in" && trace.ms !== null);
  const end = Math.max(1, ...came.map((trace) => trace.ms));
  const first = came.find((trace) => trace.shown)?.ms;
  const at = (ms) => `${(100 * ms) / end}%`;
  if (first !== undefined) {
    const wait = make("span", "snb-wait");
    wait.style.width = at(first);
    lane.append(wait);
  }
  for (const trace of came) {
    const mark = make("span", trace.shown ? "snb-mark snb-shown" : "snb-mark");
    mark.style.insetInlineStart = `min(${at(trace.ms)}, calc(100% - 5px))`;
    mark.title = `${trace.kind}, ${duration(trace.ms)}`;
    lane.append(mark);
  }
  const scale = make("div", "snb-scale");
  scale.append(make("span", "", "0"), make("span", "", came.length ? duration(end) : ""));
  const both = make("div");
  both.append(lane, scale);
  both.setAttribute("role", "img");
  both.setAttribute("aria-label", came.length ? `${came.length} traces within ${duration(end)}` : "no traces yet");
  return both;
}

class View {
  constructor(model, el) {
    this.model = model;
    this.next = 0; // the first trace this view has not seen
    this.asking = false;
    this.streams = new Map(); // stream → the bubble it is growing in
    this.turns = new Map(); // turn → its place in the log and its first latency
    this.id = Math.random().toString(36).slice(2); // of this view, among those of the panel
    this.waiting = new Map(); // what was typed and is not seen yet: its number, later its turn → its row
    this.seen = new Set(); // turns that were seen
    this.said = []; // what was typed here, for the arrow keys
    this.build(el);
    this.hear = (message) => this.receive(message);
    model.on("msg:custom", this.hear);
    this.ask();
  }

  build(el) {
    const panel = make("section", "snb-panel");
    const header = make("header", "snb-head");
    this.dot = make("span", "snb-dot");
    this.name = make("span", "snb-name");
    this.meta = make("span", "snb-meta");
    this.again = this.tool("↺", "Start over", () => this.model.send({ do: this.restart }));
    this.menu = make("div", "snb-menu");
    this.menu.hidden = true;
    this.menu.setAttribute("role", "menu");
    for (const [form, label] of [["markdown", "Markdown"], ["html", "HTML"], ["jsonl", "JSON lines"]]) {
      const item = make("button", "snb-item", label);
      item.type = "button";
      item.setAttribute("role", "menuitem");
      item.addEventListener("click", () => {
        this.model.send({ export: form });
        this.open(false);
        this.save.focus();
      });
      this.menu.append(item);
    }
    this.save = this.tool("⤓", "Export the conversation", () => this.open(this.menu.hidden));
    this.save.setAttribute("aria-haspopup", "menu");
    this.look = this.tool("◧", "Inspector", () => this.inspect(this.inspector.hidden));
    this.look.setAttribute("aria-pressed", "false");
    header.append(this.dot, this.name, this.meta, make("span", "snb-gap"), this.again, this.save, this.look, this.menu);
    header.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !this.menu.hidden) {
        this.open(false);
        this.save.focus();
      }
    });
    header.addEventListener("focusout", (event) => {
      if (!header.contains(event.relatedTarget)) this.open(false);
    });

    this.log = make("div", "snb-log");
    this.log.setAttribute("role", "log");
    this.log.setAttribute("aria-live", "polite");
    this.log.tabIndex = 0;

    const footer = make("footer", "snb-foot");
    this.input = make("textarea", "snb-input");
    this.input.rows = 1;
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.input.addEventListener("input", () => this.grow());
    this.button = make("button", "snb-send", "Send");
    this.button.type = "button";
    this.button.addEventListener("click", () => this.say());
    this.stop = make("button", "snb-stop", "Stop");
    this.stop.type = "button";
    this.stop.hidden = true;
    this.stop.title = "Wait no longer for the answer";
    this.stop.addEventListener("click", () => this.model.send({ stop: true }));
    footer.append(this.input, this.stop, this.button);

    this.inspector = make("aside", "snb-insp");
    this.inspector.hidden = true;
    this.inspector.setAttribute("aria-label", "Inspector");
    this.inspector.tabIndex = 0;
    const main = make("div", "snb-main");
    main.append(this.log, this.inspector);

    panel.append(header, main, footer);
    panel.addEventListener("keydown", (event) => {
      if (!event.ctrlKey && !event.metaKey) event.stopPropagation(); // plain keys are shortcuts of the notebook
    });
    el.replaceChildren(panel);
    this.panel = panel;
  }

  tool(sign, label, act) {
    const button = make("button", "snb-tool", sign);
    button.type = "button";
    button.title = label;
    button.setAttribute("aria-label", label);
    button.addEventListener("click", act);
    return button;
  }

  open(wanted) {
    this.menu.hidden = !wanted;
    this.save.setAttribute("aria-expanded", String(wanted));
    if (wanted) this.menu.firstChild.focus();
  }

  // The inspector shows the last turn. It is asked for while it is open, and once more after what comes meanwhile.

  inspect(wanted) {
    const follow = this.following();
    this.inspector.hidden = !wanted;
    if (follow) this.bottom();
    this.look.setAttribute("aria-pressed", String(wanted));
    if (wanted) this.refresh();
  }

  refresh() {
    if (this.inspector.hidden || this.due) return;
    this.due = setTimeout(() => {
      this.due = undefined;
      this.model.send({ inspect: this.begun ?? 0 });
    }, 100);
  }

  inspected({ session, traces }) {
    const unfolded = new Set([...this.inspector.querySelectorAll("details[open]")].map((node) => node.dataset.seq));
    const facts = make("dl", "snb-facts");
    for (const [name, value] of session) facts.append(make("dt", "", name), make("dd", "", value));
    const list = make("div", "snb-traces");
    for (const trace of traces) {
      const row = make("details", "snb-trace");
      row.dataset.seq = String(trace.seq);
      row.open = unfolded.has(row.dataset.seq);
      const head = make("summary");
      const way = { in: "←", out: "→", local: "·" }[trace.direction];
      head.append(
        make("span", "snb-ms", trace.ms === null ? "" : String(Math.round(trace.ms))),
        make("span", `snb-way snb-${trace.direction}`, way),
        make("span", "snb-kind", trace.kind),
        make("span", "snb-what", trace.label || trace.event),
      );
      row.append(head, make("pre", "", pretty(trace.payload)));
      list.append(row);
    }
    this.inspector.replaceChildren(
      make("h4", "", "Session"), facts, make("h4", "", "This turn"), timeline(traces), make("h4", "", "Traces"), list,
    );
  }

  // What the user does

  key(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.say();
    } else if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      this.recall(event);
    }
  }

  // Arrow up brings back what was said before, arrow down what was said after it, as in a shell.
  recall(event) {
    const caret = this.input.selectionStart;
    const up = event.key === "ArrowUp";
    if (event.shiftKey || this.input.value.slice(...(up ? [0, caret] : [caret])).includes("\n")) return;
    const place = (this.recalled ?? this.said.length) + (up ? -1 : 1);
    if (place < 0 || place > this.said.length) return;
    event.preventDefault();
    if (this.recalled === undefined || this.recalled === this.said.length) this.draft = this.input.value;
    this.recalled = place;
    this.input.value = place === this.said.length ? this.draft : this.said[place];
    this.grow();
  }

  grow() {
    this.input.style.height = "auto";
    this.input.style.height = `${Math.min(this.input.scrollHeight + 2, 140)}px`;
  }

  say() {
    const text = this.input.value;
    if (!text.trim()) return;
    const id = `${this.id}-${this.said.length}`;
    this.model.send({ say: text, id });
    this.wait(text, id);
    this.said.push(text);
    this.recalled = undefined;
    this.input.value = "";
    this.grow();
  }

  // Which button it was, all views are told: two may have the same words.
  spent({ pressed, option }) {
    for (const button of this.log.querySelectorAll(`[data-seq="${pressed}"]`)) {
      button.disabled = true;
      button.classList.toggle("snb-used", button.dataset.option === String(option));
    }
  }

  press(row, option, chip) {
    if (document.activeElement === chip) this.input.focus();
    for (const other of this.log.querySelectorAll(`[data-seq="${row.seq}"]`)) other.disabled = true;
    chip.classList.add("snb-used");
    this.model.send({ press: row.seq, option });
  }

  // Until the kernel has recorded what was typed, it stands here, pale.
  wait(text, id) {
    const bubble = this.bubble("user", this.log);
    bubble.textContent = text;
    const row = bubble.closest(".snb-row");
    row.classList.add("snb-waiting");
    this.waiting.set(id, row);
    this.bottom();
  }

  // What was said has its turn; when that turn is seen, in its action or its end, it need not stand here any more.
  landed({ said, turn }) {
    const row = this.waiting.get(said);
    if (!row) return;
    this.waiting.delete(said);
    if (this.seen.has(turn)) row.remove();
    else this.waiting.set(turn, row);
  }

  unwait(key) {
    this.waiting.get(key)?.remove();
    this.waiting.delete(key);
  }

  // What comes

  ask() {
    this.asking = true;
    this.model.send({ ask: this.next });
  }

  receive(message) {
    if (message.problem) return this.problem(message);
    if (message.file) return this.download(message);
    if (message.turn !== undefined) return this.landed(message);
    if (message.pressed !== undefined) return this.spent(message);
    if (message.inspected) return this.inspected(message.inspected);
    this.refresh();
    this.known = Math.max(this.known ?? 0, message.to); // what is passed over while an answer is on its way
    if (message.from > this.next) {
      if (!this.asking) this.ask();
      return;
    }
    this.asking = false;
    const follow = this.following();
    for (const row of message.rows) if (row.seq >= this.next) this.show(row);
    this.next = Math.max(this.next, message.to);
    if (this.next < this.known) this.ask();
    this.facts(message.facts);
    if (follow) this.bottom();
  }

  facts({ name, platform, state, restart }) {
    this.restart = restart;
    this.again.hidden = !restart;
    this.stop.hidden = !this.turns.size;
    this.name.textContent = name;
    this.meta.textContent = [platform, state, this.latency && `first reply ${duration(this.latency)}`]
      .filter(Boolean)
      .join(" · ");
    this.dot.dataset.state = state;
    this.dot.title = state;
    this.panel.setAttribute("aria-label", `Chat with ${name}`);
    this.input.placeholder = `Message ${name}`;
    this.input.setAttribute("aria-label", `Message ${name}`);
    const closed = state === "closed";
    this.input.disabled = this.button.disabled = this.again.disabled = closed;
    if (closed) for (const button of this.log.querySelectorAll("[data-seq]")) button.disabled = true;
    if (closed) this.input.placeholder = `${name} is closed`;
  }

  show(row) {
    if (row.turn) {
      this.seen.add(row.turn);
      this.unwait(row.turn);
    }
    if (row.text !== undefined) return this.mine(row);
    if (row.notice !== undefined) {
      const notice = make("div", "snb-notice", row.notice);
      notice.dataset.kind = row.kind;
      this.place(row).append(notice);
    } else if (row.stream !== undefined) {
      this.piece(row);
    } else {
      if (row.html !== undefined) this.bubble(row.sender, this.place(row)).innerHTML = row.html; // sanitised in the kernel
      if (row.cards) this.place(row).append(this.cards(row));
      const inCards = new Set((row.cards ?? []).flatMap((card) => card.options));
      const below = (row.choices ?? []).map((_, option) => option).filter((option) => !inCards.has(option));
      if (below.length) this.place(row).append(this.chips(row, below));
    }
    const turn = this.turns.get(row.turn);
    if (!turn) return;
    if ((row.html !== undefined || row.delta || row.choices || row.cards) && turn.first === undefined) {
      turn.first = this.latency = row.first;
    }
    if (row.done !== undefined) this.finish(row, turn);
  }

  // A piece of a streamed message goes to the end of its bubble; the whole, formatted, takes its place.
  piece(row) {
    let bubble = this.streams.get(row.stream);
    if (!bubble && (row.delta || row.html)) {
      bubble = this.bubble(row.sender, this.place(row));
      bubble.classList.add("snb-streaming");
      this.streams.set(row.stream, bubble);
    }
    if (row.delta) bubble.append(row.delta);
    if (row.html !== undefined) {
      bubble.innerHTML = row.html; // sanitised in the kernel
      bubble.classList.remove("snb-streaming");
      this.streams.delete(row.stream);
    }
  }

  mine(row) {
    this.begun = row.seq;
    for (const chip of this.log.querySelectorAll(".snb-chip:enabled, .snb-choice:enabled")) {
      chip.disabled = true;
      if (chip.dataset.seq === this.offer && chip.textContent === row.text && !this.log.querySelector(`.snb-used[data-seq="${this.offer}"]`))
        chip.classList.add("snb-used");
    }
    const node = make("div", "snb-turn");
    this.log.append(node);
    this.bubble("user", node).textContent = row.text;
    const typing = make("div", "snb-row snb-typing");
    const dots = make("div", "snb-bubble");
    dots.setAttribute("aria-label", "typing");
    dots.append(make("i"), make("i"), make("i"));
    typing.append(make("span", "snb-face", "B"), dots);
    node.append(typing);
    this.turns.set(row.turn, { node, typing });
  }

  finish(row, turn) {
    turn.typing.remove();
    const first = turn.first === undefined ? "" : ` · first ${duration(turn.first)}`;
    turn.node.append(make("div", "snb-under", `${clock(row.at)}${first} · done ${duration(row.done)}`));
    this.turns.delete(row.turn);
  }

  place(row) {
    const turn = this.turns.get(row.turn);
    if (!turn) return this.log;
    return { append: (node) => turn.typing.before(node) };
  }

  bubble(sender, where) {
    const line = make("div", `snb-row snb-${sender}`);
    const bubble = make("div", "snb-bubble");
    if (sender === "user") bubble.dir = "auto";
    else {
      bubble.dir = "auto";
      line.append(make("span", "snb-face", sender === "agent" ? "A" : "B"));
    }
    line.append(bubble);
    where.append(line);
    return bubble;
  }

  chips(row, options) {
    const chips = make("div", "snb-chips");
    for (const option of options) chips.append(this.choice(row, option, "snb-chip"));
    return chips;
  }

  choice(row, option, className) {
    const button = make("button", className, row.choices[option]);
    button.type = "button";
    button.dataset.seq = this.offer = String(row.seq);
    button.dataset.option = String(option);
    button.addEventListener("click", () => this.press(row, option, button));
    return button;
  }

  // Cards stand beside each other, to be scrolled with the arrow keys or a finger, or below each other.
  cards(row) {
    const cards = make("div", `snb-cards snb-${row.layout}`);
    for (const { html, options } of row.cards) {
      const card = make("div", "snb-card");
      const body = make("div", "snb-body");
      body.dir = "auto";
      body.innerHTML = html; // sanitised in the kernel
      card.append(body);
      for (const option of options) card.append(this.choice(row, option, "snb-choice"));
      cards.append(card);
    }
    if (row.layout === "carousel") {
      cards.tabIndex = 0;
      cards.setAttribute("role", "group");
      cards.setAttribute("aria-label", `${row.cards.length} cards`);
      const left = (n) => cards.children[n].offsetLeft - cards.children[0].offsetLeft;
      let at = 0; // the card that is first in sight, or will be when the scrolling is over
      cards.addEventListener("scrollend", () => {
        at = [...cards.children].findLastIndex((_, n) => left(n) <= cards.scrollLeft + 20);
      });
      cards.addEventListener("keydown", (event) => {
        const way = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!way) return;
        event.preventDefault();
        event.stopPropagation();
        at = Math.min(Math.max(at + way, 0), cards.children.length - 1);
        cards.scrollTo({ left: left(at), behavior: STILL.matches ? "auto" : "smooth" });
      });
    }
    return cards;
  }

  download({ file, content }) {
    const link = make("a");
    link.href = URL.createObjectURL(new Blob([content]));
    link.download = file;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  problem({ problem, text, said, press }) {
    this.unwait(said);
    for (const button of this.log.querySelectorAll(`[data-seq="${press}"]`)) {
      button.disabled = this.input.disabled;
      button.classList.remove("snb-used");
    }
    if (text && !this.input.value) this.input.value = text;
    const notice = make("div", "snb-notice", problem);
    notice.dataset.kind = "error";
    this.log.append(notice);
    this.bottom();
  }

  following() {
    return this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 60;
  }

  bottom() {
    this.log.scrollTop = this.log.scrollHeight;
  }

  leave() {
    clearTimeout(this.due);
    this.model.off("msg:custom", this.hear);
  }
}

export default {
  render({ model, el }) {
    const view = new View(model, el);
    return () => view.leave();
  },
};
