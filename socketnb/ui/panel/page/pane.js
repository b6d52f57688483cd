// One session in the page: its header, its conversation, its inspector. What travels is described in __init__.py.

import { button, duration, isFind, make, soon } from "./dom.js";
import { verb } from "./forms.js";
import { Finder } from "./finder.js";
import { Inspector } from "./inspector.js";
import { Log } from "./log.js";
import { menu } from "./menu.js";

const PATIENCE = 1500; // milliseconds after which people are told that the kernel has not answered
const FORMATS = [["markdown", "Markdown"], ["html", "HTML"], ["jsonl", "JSON lines"]];

export class Pane {
  // `composer` is this pane's own, or one that several share; `changed` is told when it begins or ends to wait.
  constructor(send, composer, changed) {
    this.view = Math.random().toString(36).slice(2); // of this view, among those of the panel
    this.post = send;
    this.composer = composer;
    this.changed = changed;
    this.running = new Set(); // turns that are not over
    this.waiting = new Map(); // what was said and is not seen yet: its number, later its turn → its node
    this.seen = new Map(); // turns that were seen lately → their conversation
    this.asked = new Map(); // where rows were asked for → the timer that tells of a kernel that does not answer
    this.news = []; // what came and is not drawn yet
    this.count = 0;
    this.about = { verbs: [] };
    this.facts = {};
    this.build();
    this.fetch("last");
  }

  emit(message, buffers) {
    if (!this.dead) this.post({ ...message, view: this.view }, buffers);
  }

  build() {
    this.node = make("section", "snb-panel");
    this.log = new Log({
      fetch: (where, seq) => this.fetch(where, seq),
      press: (row, option, chip) => this.press(row, { press: row.seq, option }, chip),
      submit: (row, option, values, chip) => this.press(row, { submit: row.seq, option, values }, chip),
      date: (row, values) => this.press(row, { date: row.seq, values }),
      rate: (row, rating, comment) => this.rated(row, { rating, ...(comment && { comment }) }),
      inspect: (turn) => this.inspect(true, turn),
      copy: (words) => this.copy(words),
      edit: (words) => this.composer.fill(words),
      again: (words) => this.say(words),
    });
    this.finder = new Finder(this.log, {
      ask: (words) => this.emit({ find: words, ...(this.talk && { talk: this.talk }) }),
      fetch: (where, seq) => this.fetch(where, seq),
      opens: () => this.collapse(false),
      leaves: () => this.refocus(),
    });
    this.inspector = new Inspector((turn, had) => this.emit({ inspect: turn, had }));
    this.banner = make("div", "snb-banner");
    this.banner.hidden = true;
    this.banner.setAttribute("role", "alert");
    this.talks = make("div", "snb-talks");
    this.talks.hidden = true;
    this.sheet = make("div", "snb-sheet");
    this.sheet.hidden = true;
    const main = make("div", "snb-main");
    const middle = make("div", "snb-middle");
    this.status = make("div", "snb-toast");
    this.status.setAttribute("role", "status");
    middle.append(this.log.node, this.log.down, this.status);
    main.append(middle, this.inspector.node);
    this.below = make("div", "snb-below");
    this.below.append(this.sheet);
    this.node.append(this.header(), main, this.below);
    this.node.addEventListener("keydown", (event) => {
      if (!isFind(event)) return;
      event.preventDefault();
      this.finder.open(true);
    });
  }

  header() {
    const header = make("header", "snb-head");
    this.dot = make("span", "snb-dot");
    this.name = make("span", "snb-name");
    this.meta = make("span", "snb-meta");
    this.look = button("snb-tool", "Inspector", () => this.inspect(this.inspector.node.hidden), "inspector");
    this.look.setAttribute("aria-pressed", "false");
    this.again = button("snb-tool", "Start over", () => this.emit({ do: this.about.restart }), "again");
    const find = button("snb-tool", "Search", () => this.finder.open(this.finder.node.hidden), "search");
    const unfold = () => this.collapse(false);
    const exports = () => FORMATS.map(([form, label]) => [label, () => this.emit({ export: form })]);
    const [save, formats] = menu("Export the conversation", "export", exports, unfold);
    const others = () =>
      this.about.verbs.map((about) => [about.verb.replaceAll("_", " "), () => this.fill(about), about.help]);
    const [more, verbs] = menu("More actions", "more", others, unfold);
    this.fold = button("snb-tool", "Collapse", () => this.collapse(!this.node.classList.contains("snb-folded")), "fold");
    this.fold.setAttribute("aria-expanded", "true");
    const line = make("div", "snb-title-line");
    line.append(this.dot, this.name, this.meta, make("span", "snb-gap"), find, save, formats, this.again, more, verbs);
    line.append(this.look, this.fold);
    header.append(line, this.talks, this.finder.node, this.banner);
    return header;
  }

  collapse(folded) {
    this.node.classList.toggle("snb-folded", folded);
    this.fold.setAttribute("aria-expanded", String(!folded));
  }

  inspect(wanted, turn) {
    this.inspector.open(wanted, turn);
    this.look.setAttribute("aria-pressed", String(wanted));
  }

  // What the user does

  say(text) {
    if (this.dead || this.facts.state === "closed") return;
    if (this.log.newer) this.fetch("last");
    const id = `${this.view}-${this.count++}`;
    this.waiting.set(id, this.log.wait(text));
    this.late(id, () => this.waiting.get(id)?.classList.add("snb-late"));
    this.emit({ say: text, id, ...this.where() });
    this.changed();
  }

  // The conversation that this is for, where there can be several; "" is a new one.
  where() {
    return this.talk === undefined ? {} : { talk: this.talk };
  }

  // What is pressed is said in its own conversation.
  press(row, message, chip) {
    if (this.dead) return;
    this.refocus();
    this.log.spend(row.seq, message.option ?? -1);
    this.late(`press-${row.seq}`, () => chip?.classList.add("snb-late"));
    this.emit({ ...message, ...(row.talk ? { talk: row.talk } : this.where()) });
    if (this.log.newer) this.fetch("last");
  }

  rated(row, fields) {
    this.refocus();
    this.log.spend(row.seq, -1);
    this.act("rate", fields, [], this.where(), row.seq);
  }

  act(name, fields, buffers, where, seq) {
    const id = `${this.view}-${this.count++}`;
    if (name === "review") this.over = undefined;
    this.late(id, () => this.toast("The kernel is busy: this is done as soon as it can be."));
    this.emit({ act: name, fields, id, seq, ...where }, buffers);
    if (this.log.newer) this.fetch("last");
    return id;
  }

  refocus() {
    const target = this.composer.input.disabled ? this.log.node : this.composer.input;
    target.focus({ preventScroll: true });
  }

  // A verb that needs something is asked for it in a sheet above the input.
  fill(about) {
    const where = this.where(); // where it was begun is where it is done
    if (!about.fields.length) return this.act(about.verb, {}, [], where);
    const act = (fields, buffers) => {
      this.filling = this.act(about.verb, fields, buffers, where);
    };
    this.filling = undefined;
    this.form = verb(about, act, () => this.leaveSheet());
    this.sheet.replaceChildren(this.form.node);
    this.sheet.hidden = false;
    this.sheet.querySelector("input, textarea, select")?.focus();
  }

  leaveSheet() {
    this.filling = this.form = undefined;
    this.sheet.hidden = true;
    this.sheet.replaceChildren();
    this.refocus();
  }

  acted({ acted }) {
    this.answered(acted);
    if (acted === this.filling) this.leaveSheet();
  }

  async copy(words) {
    try {
      await navigator.clipboard.writeText(words);
      this.toast("Copied.");
    } catch {
      this.toast("The browser does not let this page copy: select the words and use its own command.");
    }
  }

  // A word on what happened, for a moment.
  toast(words) {
    this.status.textContent = words;
    clearTimeout(this.toasting);
    this.toasting = setTimeout(() => (this.status.textContent = ""), 2500);
  }

  // Where the kernel does not answer at once it is busy, or gone: what was asked waits visibly, and is not lost.
  late(key, tell) {
    this.asked.set(key, setTimeout(tell, PATIENCE));
  }

  answered(key) {
    clearTimeout(this.asked.get(key));
    this.asked.delete(key);
  }

  fetch(where, seq = 0) {
    if (this.dead) return;
    if (where === "around") this.goal = seq;
    this.answered("fetch");
    this.late("fetch", () => {
      this.log.fetching = false;
      this.gone("The kernel does not answer: it is busy, or gone.", "Try again", () => this.fetch(where, seq));
    });
    this.log.fetching = true;
    this.wanted = ++this.count; // an answer to what was asked before is not wanted any more
    this.emit({ ask: where, seq, id: this.wanted, ...this.where() });
  }

  // What comes

  receive(message) {
    if (message.view !== undefined && message.view !== this.view) return;
    if (message.rows) {
      this.news.push(message);
      if (this.news.length === 1) soon(() => this.draw());
    } else if (message.page) message.id === this.wanted && this.page(message);
    else if (message.problem) this.problem(message);
    else if (message.turned) this.turned();
    else if (message.said !== undefined) this.landed(message);
    else if (message.pressed !== undefined) this.spent(message);
    else if (message.restored !== undefined) this.log.restore(message.restored);
    else if (message.acted !== undefined) this.acted(message);
    else if (message.inspected) this.inspector.show(message.inspected);
    else if (message.found) this.finder.show(message);
    else if (message.file) this.download(message);
  }

  // What came since the last frame, at once.
  draw() {
    const [burst, rows] = [this.news, []];
    this.news = [];
    let { next } = this.log;
    for (const message of burst) {
      if (message.facts) this.facts = message.facts;
      this.known = Math.max(this.known ?? 0, message.to);
      const here = message.rows.filter((row) => this.isHere(row));
      this.begun(here);
      for (const row of message.rows) this.settle(row);
      if (message.many) this.typist = undefined;
      if (message.from > next || message.many) continue; // something was missed: it is asked for below
      rows.push(...here);
      next = Math.max(next, message.to);
    }
    this.log.live(rows, next);
    const missed = !this.log.newer && next < this.known && !this.asked.has("fetch");
    if (missed && !this.log.held) this.log.miss();
    else if (missed) this.fetch("since", next);
    this.fresh();
  }

  isHere(row) {
    return this.talk === undefined || !row.talk || row.talk === this.talk;
  }

  page({ page, where, facts, about }) {
    this.answered("fetch");
    this.gone("");
    [this.facts, this.about] = [facts, about];
    this.log.page(where, page, this.goal);
    this.running = new Set(page.running);
    if (where !== "before") this.typist = undefined;
    for (const row of where === "before" ? [] : page.rows) {
      this.settle(row);
      if (row.first !== undefined) this.latency = row.first;
    }
    if (!this.log.newer && this.log.next < (this.known ?? 0)) this.fetch("since", this.log.next);
    this.fresh();
  }

  // Turns begin and end, and what was typed is seen.
  begun(rows) {
    for (const row of rows) {
      if (row.text !== undefined) this.running.add(row.turn);
      if (row.typing !== undefined) this.typist = row.typing ? row.sender : undefined;
      else if (row.sender === "bot" || row.sender === "agent") [this.typist, this.speaker] = [undefined, row.sender];
      if (row.first !== undefined) this.latency = row.first;
    }
  }

  // What was typed is seen, and turns end, in whichever conversation.
  settle(row) {
    if (row.done !== undefined) this.running.delete(row.turn);
    if (!row.turn) return;
    this.seen.set(row.turn, row.talk ?? this.seen.get(row.turn));
    if (this.seen.size > 100) this.seen.delete(this.seen.keys().next().value);
    this.unwait(row.turn);
    if (this.talk === "" && this.mine === row.turn && row.talk) this.turn(row.talk); // the new one has begun
  }

  fresh() {
    const { name, platform, restart, verbs } = this.about;
    const { state } = this.facts;
    if (!name || this.dead) return;
    const closed = state === "closed";
    this.name.textContent = name;
    this.meta.textContent = [platform, state, this.latency && `first reply ${duration(this.latency)}`].filter(Boolean).join(" · ");
    this.dot.dataset.state = this.dot.title = state;
    this.node.setAttribute("aria-label", `Chat with ${name}`);
    this.again.hidden = !restart;
    this.again.disabled = closed;
    this.node.classList.toggle("snb-has-verbs", Boolean(verbs.length) && !closed);
    this.log.node.setAttribute("aria-label", `Conversation with ${name}`);
    if (closed) this.log.spendAll();
    this.changed();
    this.finder.mark();
    const typing = this.running.size ? (this.typist ?? this.speaker ?? "bot") : this.typist && (this.speaker ?? this.typist);
    this.log.typing(!closed && !this.log.newer && typing);
    this.tabs();
    if (state === "lost") this.gone("The connection is lost.", "Reconnect", () => this.emit({ do: "reconnect" }));
    else if (closed) this.gone(`This session is closed. Connect again as "${name}" and it goes on here.`);
    else if (this.over) this.gone("A conversation was closed.", "Rate it", () => this.rate(), () => (this.over = undefined));
    else this.gone("");
    this.inspector.refresh();
  }

  get waits() {
    return Boolean(this.running.size || this.waiting.size);
  }

  // Several conversations, where the platform has them

  tabs() {
    const { talks = [] } = this.facts;
    this.talks.hidden = this.about.talks < 2;
    if (this.talks.hidden) return;
    const told = JSON.stringify([talks, this.talk]);
    if (told === this.tabbed) return; // they are as they were, and may have the focus
    this.tabbed = told;
    this.review(talks);
    const tab = (label, id, about) => {
      const node = button("snb-talk", label, () => this.turn(id));
      node.dir = "auto";
      node.setAttribute("aria-pressed", String(this.talk === id));
      if (about?.agent) node.prepend(make("span", "snb-agent-dot"));
      if (about?.unread) node.append(make("span", "snb-unread", String(about.unread)));
      if (about?.closed) node.classList.add("snb-over");
      return node;
    };
    const all = talks.map((about, n) => tab(about.agent || `Conversation ${n + 1}`, about.id, about));
    this.talks.replaceChildren(tab("All", undefined), ...all, tab("New", ""));
  }

  // Look at one conversation, and speak in it.
  turn(id) {
    this.talk = id;
    this.mine = undefined;
    this.fetch("last");
    this.finder.find();
    this.tabs();
    this.composer.input.focus();
  }

  // One that has just been closed can be rated.
  review(talks) {
    this.over = talks.find(({ id, closed }) => closed && this.open?.has(id))?.id ?? this.over;
    this.open = new Set(talks.filter(({ closed }) => !closed).map(({ id }) => id));
  }

  rate() {
    this.turn(this.over);
    this.over = undefined;
    this.fill(this.about.verbs.find(({ verb: name }) => name === "review"));
  }

  turned() {
    this.talk = this.latency = this.known = this.over = this.open = this.tabbed = undefined;
    this.typist = this.speaker = undefined;
    this.news = [];
    this.log.tail.replaceChildren();
    this.finder.find();
    this.waiting.clear();
    this.seen.clear();
    this.fetch("last");
  }

  // What was said has its turn; when that turn is seen, in its action or its end, it need not stand here any more.
  landed({ said, turn }) {
    this.answered(said);
    const node = this.waiting.get(said);
    if (!node) return;
    node.classList.remove("snb-late");
    this.waiting.delete(said);
    if (this.talk === "") this.mine = turn;
    if (this.seen.has(turn)) {
      node.remove();
      if (this.talk === "" && this.seen.get(turn)) this.turn(this.seen.get(turn));
    } else this.waiting.set(turn, node);
    this.changed();
  }

  unwait(key) {
    this.waiting.get(key)?.remove();
    this.waiting.delete(key);
  }

  // Which button it was, all views are told: two may have the same words.
  spent({ pressed, option }) {
    this.answered(`press-${pressed}`);
    this.log.spend(pressed, option);
  }

  problem({ problem, asked }) {
    this.answered(asked.id);
    if (asked.id === this.wanted) {
      this.answered("fetch");
      this.log.fetching = false;
    }
    if (this.filling !== undefined && asked.id === this.filling) return this.form.tell(problem);
    this.unwait(asked.id);
    const seq = asked.press ?? asked.submit ?? asked.date ?? asked.seq;
    this.answered(`press-${seq}`);
    if (seq !== undefined && this.facts.state !== "closed") this.log.restore(seq);
    if (asked.view !== this.view) return;
    if (asked.say && !this.composer.input.value) this.composer.fill(asked.say);
    this.log.tell(problem);
    this.changed();
  }

  // A line across the top: what is wrong, and what can be done.
  gone(words, label, act, dismiss) {
    this.banner.act = act;
    if (this.banner.dataset.words === words) return;
    this.banner.dataset.words = words;
    this.banner.hidden = !words;
    this.banner.replaceChildren(make("span", "", words));
    const then = (next) => () => {
      this.refocus(); // the button is about to go
      next();
      this.fresh();
    };
    if (label) this.banner.append(button("snb-chip", label, then(() => this.banner.act())));
    if (dismiss) this.banner.append(button("snb-chip", "Not now", then(dismiss)));
  }

  // The kernel has left. What is here stays to be read.
  cut() {
    this.dead = true;
    for (const key of [...this.asked.keys()]) this.answered(key);
    this.running.clear();
    this.waiting.clear();
    this.log.freeze();
    this.log.typing(false);
    this.gone("The kernel has gone, and this conversation with it. Its recording stays: run the cell again to reconnect.");
    this.changed();
  }

  download({ file, content }) {
    const link = make("a");
    link.href = URL.createObjectURL(new Blob([content]));
    link.download = file;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  leave() {
    this.inspector.leave();
    this.log.leave();
    this.finder.leave();
    clearTimeout(this.toasting);
    for (const key of [...this.asked.keys()]) this.answered(key);
  }
}
