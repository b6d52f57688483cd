// The page's side of the panel. What travels is described in panel.py. A view keeps the number of the next trace it
// needs; it shows what comes in order, drops what it has, and asks for what it misses.

function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
}

const clock = (at) => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
const duration = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

class View {
  constructor(model, el) {
    this.model = model;
    this.next = 0; // the first trace this view has not seen
    this.asking = false;
    this.streams = new Map(); // stream → the bubble it is growing in
    this.turns = new Map(); // turn → its place in the log and its first latency
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
    header.append(this.dot, this.name, this.meta);

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
    footer.append(this.input, this.button);

    panel.append(header, this.log, footer);
    el.replaceChildren(panel);
    this.panel = panel;
  }

  // What the user does

  key(event) {
    if (!event.ctrlKey && !event.metaKey) event.stopPropagation(); // plain keys are shortcuts of the notebook
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.say();
    }
  }

  grow() {
    this.input.style.height = "auto";
    this.input.style.height = `${Math.min(this.input.scrollHeight + 2, 140)}px`;
  }

  say() {
    const text = this.input.value;
    if (!text.trim()) return;
    this.model.send({ say: text });
    this.wait(text);
    this.input.value = "";
    this.grow();
  }

  press(row, option, chip) {
    for (const other of chip.parentNode.children) other.disabled = true;
    chip.classList.add("snb-used");
    this.model.send({ press: row.seq, option });
  }

  // Until the kernel has recorded what was typed, it stands here, pale.
  wait(text) {
    const bubble = this.bubble("user", this.log);
    bubble.textContent = text;
    bubble.closest(".snb-row").classList.add("snb-waiting");
    this.bottom();
  }

  // What comes

  ask() {
    this.asking = true;
    this.model.send({ ask: this.next });
  }

  receive(message) {
    if (message.problem) return this.problem(message);
    this.known = Math.max(this.known ?? 0, message.to); // what is passed over while an answer is on its way
    if (message.from > this.next) {
      if (!this.asking) this.ask();
      return;
    }
    this.asking = false;
    const follow = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 60;
    for (const row of message.rows) if (row.seq >= this.next) this.show(row);
    this.next = Math.max(this.next, message.to);
    if (this.next < this.known) this.ask();
    this.facts(message.facts);
    if (follow) this.bottom();
  }

  facts({ name, platform, state }) {
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
    this.input.disabled = this.button.disabled = closed;
    if (closed) this.input.placeholder = `${name} is closed`;
  }

  show(row) {
    if (row.text !== undefined) return this.mine(row);
    if (row.notice !== undefined) {
      const notice = make("div", "snb-notice", row.notice);
      notice.dataset.kind = row.kind;
      this.place(row).append(notice);
    } else if (row.stream !== undefined) {
      this.piece(row);
    } else {
      if (row.html !== undefined) this.bubble(row.sender, this.place(row)).innerHTML = row.html; // sanitised in the kernel
      if (row.choices) this.place(row).append(this.chips(row));
    }
    const turn = this.turns.get(row.turn);
    if (!turn) return;
    if ((row.html !== undefined || row.delta || row.choices) && turn.first === undefined) {
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
    this.log.querySelector(".snb-waiting")?.remove();
    for (const chip of this.log.querySelectorAll(".snb-chip")) {
      chip.disabled = true;
      if (chip.closest(".snb-chips") === this.offer && chip.textContent === row.text) chip.classList.add("snb-used");
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

  chips(row) {
    const chips = make("div", "snb-chips");
    row.choices.forEach((label, option) => {
      const chip = make("button", "snb-chip", label);
      chip.type = "button";
      chip.addEventListener("click", () => this.press(row, option, chip));
      chips.append(chip);
    });
    this.offer = chips;
    return chips;
  }

  problem({ problem, text }) {
    this.log.querySelector(".snb-waiting")?.remove();
    if (text && !this.input.value) this.input.value = text;
    const notice = make("div", "snb-notice", problem);
    notice.dataset.kind = "error";
    this.log.append(notice);
    this.bottom();
  }

  bottom() {
    this.log.scrollTop = this.log.scrollHeight;
  }

  leave() {
    this.model.off("msg:custom", this.hear);
  }
}

export default {
  render({ model, el }) {
    const view = new View(model, el);
    return () => view.leave();
  },
};
