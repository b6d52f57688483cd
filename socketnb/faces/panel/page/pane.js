// One session in the page: its header, its conversation, its inspector. What travels is described in __init__.py.

import { button, duration, isFind, make, soon } from "./dom.js";
import { verb } from "./forms.js";
import { Composer } from "./composer.js";
import { Inspector } from "./inspector.js";
import { Log } from "./log.js";

const PATIENCE = 1500; // milliseconds after which people are told that the kernel has not answered
const FORMATS = [["markdown", "Markdown"], ["html", "HTML"], ["jsonl", "JSON lines"]];

export class Pane {
  constructor(send, alone) {
    this.view = Math.random().toString(36).slice(2); // of this view, among those of the panel
    this.emit = (message, buffers) => send({ ...message, view: this.view }, buffers);
    this.running = new Set(); // turns that are not over
    this.waiting = new Map(); // what was said and is not seen yet: its number, later its turn → its node
    this.seen = new Set(); // turns that were seen lately
    this.asked = new Map(); // where rows were asked for → the timer that tells of a kernel that does not answer
    this.news = []; // what came and is not drawn yet
    this.count = 0;
    this.about = { verbs: [] };
    this.facts = {};
    this.build(alone);
    this.fetch("last");
  }

  build(alone) {
    this.node = make("section", "snb-panel");
    this.log = new Log({
      fetch: (where, seq) => this.fetch(where, seq),
      press: (row, option, chip) => this.press({ press: row.seq, option }, chip),
      submit: (row, option, values, chip) => this.press({ submit: row.seq, option, values }, chip),
      date: (row, values) => this.press({ date: row.seq, values }),
      rate: (row, rating, comment) => {
        this.log.spend(row.seq, -1);
        this.act("rate", { rating, ...(comment && { comment }) });
      },
      inspect: (turn) => this.inspect(true, turn),
      copy: (words) => this.copy(words),
      edit: (words) => this.composer.fill(words),
      again: (words) => this.say(words),
    });
    this.composer = new Composer({ say: (text) => this.say(text), stop: () => this.emit({ stop: true }) });
    this.composer.node.hidden = !alone;
    this.inspector = new Inspector((turn) => this.emit({ inspect: turn }));
    this.banner = make("div", "snb-banner");
    this.banner.hidden = true;
    this.banner.setAttribute("role", "alert");
    this.talks = make("div", "snb-talks");
    this.talks.hidden = true;
    this.sheet = make("div", "snb-sheet");
    this.sheet.hidden = true;
    const main = make("div", "snb-main");
    const middle = make("div", "snb-middle");
    middle.append(this.log.node, this.log.down);
    main.append(middle, this.inspector.node);
    const below = make("div", "snb-below");
    below.append(this.sheet, this.composer.node);
    this.node.append(this.header(), main, below);
    this.node.addEventListener("keydown", (event) => {
      if (!isFind(event)) return;
      event.preventDefault();
      this.search(true);
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
    const find = button("snb-tool", "Search", () => this.search(this.finder.hidden), "search");
    const [save, formats] = this.menu("Export the conversation", "export", () =>
      FORMATS.map(([form, label]) => [label, () => this.emit({ export: form })]),
    );
    const [more, verbs] = this.menu("More actions", "more", () =>
      this.about.verbs.map((about) => [about.verb.replaceAll("_", " "), () => this.fill(about), about.help]),
    );
    this.fold = button("snb-tool", "Collapse", () => this.collapse(), "fold");
    this.fold.setAttribute("aria-expanded", "true");
    const line = make("div", "snb-title-line");
    line.append(this.dot, this.name, this.meta, make("span", "snb-gap"), find, save, formats, this.again, more, verbs);
    line.append(this.look, this.fold);
    header.append(line, this.talks, this.finderLine(), this.banner);
    return header;
  }

  // A button with a menu below it; arrow keys choose, Escape leaves.
  menu(label, picture, entries) {
    const list = make("div", "snb-menu");
    list.setAttribute("role", "menu");
    list.hidden = true;
    const open = (wanted) => {
      list.hidden = !wanted;
      opener.setAttribute("aria-expanded", String(wanted));
      if (!wanted) return;
      list.replaceChildren(
        ...entries().map(([words, act, help]) => {
          const entry = button("snb-entry", words, () => {
            open(false);
            opener.focus();
            act();
          });
          entry.setAttribute("role", "menuitem");
          if (help) entry.append(make("small", "", help));
          return entry;
        }),
      );
      list.firstChild?.focus();
    };
    const opener = button("snb-tool", label, () => open(list.hidden), picture);
    opener.setAttribute("aria-haspopup", "menu");
    opener.setAttribute("aria-expanded", "false");
    list.addEventListener("keydown", (event) => {
      const way = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (event.key === "Escape") {
        open(false);
        opener.focus();
      } else if (way) {
        event.preventDefault();
        const all = [...list.children];
        all[(all.indexOf(document.activeElement) + way + all.length) % all.length].focus();
      }
    });
    list.addEventListener("focusout", (event) => {
      if (!list.contains(event.relatedTarget) && event.relatedTarget !== opener) open(false);
    });
    return [opener, list];
  }

  collapse() {
    const folded = this.node.classList.toggle("snb-folded");
    this.fold.setAttribute("aria-expanded", String(!folded));
  }

  inspect(wanted, turn) {
    this.inspector.open(wanted, turn);
    this.look.setAttribute("aria-pressed", String(wanted));
  }

  // Looking for words, in all of the conversation

  finderLine() {
    this.finder = make("div", "snb-finder");
    this.finder.hidden = true;
    this.finder.setAttribute("role", "search");
    this.query = make("input", "snb-query");
    this.query.type = "search";
    this.query.placeholder = "Search the conversation";
    this.query.setAttribute("aria-label", "Search the conversation");
    this.hits = make("span", "snb-hits");
    this.hits.setAttribute("role", "status");
    this.query.addEventListener("input", () => {
      clearTimeout(this.finding);
      this.finding = setTimeout(() => this.find(), 200);
    });
    this.query.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.search(false);
      if (event.key === "Enter") this.step(event.shiftKey ? 1 : -1);
    });
    const up = button("snb-tool", "Earlier", () => this.step(-1), "up");
    const next = button("snb-tool", "Later", () => this.step(1), "next");
    this.finder.append(this.query, this.hits, up, next, button("snb-tool", "Close search", () => this.search(false), "close"));
    return this.finder;
  }

  search(wanted) {
    this.finder.hidden = !wanted;
    if (wanted) this.query.select();
    else {
      this.query.value = "";
      this.find();
      this.composer.input.focus();
    }
  }

  find() {
    this.found = [];
    this.hits.textContent = "";
    this.log.mark("");
    if (this.query.value.trim()) this.emit({ find: this.query.value });
  }

  foundThese({ found, words }) {
    if (words !== this.query.value) return;
    this.found = found;
    this.hit = found.length;
    if (found.length) this.step(-1);
    else this.hits.textContent = "nothing found";
  }

  step(way) {
    const total = this.found?.length;
    if (!total) return;
    this.hit = (this.hit + way + total) % total;
    this.hits.textContent = `${this.hit + 1} of ${total}`;
    const seq = this.found[this.hit];
    if (this.log.seek(seq)) this.log.mark(this.query.value);
    else this.fetch("around", seq);
  }

  // What the user does

  say(text) {
    const id = `${this.view}-${this.count++}`;
    this.waiting.set(id, this.log.wait(text));
    this.late(id, () => this.waiting.get(id)?.classList.add("snb-late"));
    this.emit({ say: text, id, ...this.where() });
    this.stopping();
  }

  // The conversation that this is for, where there can be several; "" is a new one.
  where() {
    return this.talk === undefined ? {} : { talk: this.talk };
  }

  press(message, chip) {
    const seq = message.press ?? message.submit ?? message.date;
    if (this.node.contains(document.activeElement)) this.composer.input.focus();
    this.log.spend(seq, message.option ?? -1);
    this.late(`press-${seq}`, () => chip?.classList.add("snb-late"));
    this.emit({ ...message, ...this.where() });
  }

  act(name, fields, buffers) {
    const id = `${this.view}-${this.count++}`;
    this.late(id, () => this.toast("The kernel is busy: this is done as soon as it can be."));
    this.emit({ act: name, fields, id, ...this.where() }, buffers);
  }

  // A verb that needs something is asked for it in a sheet above the input.
  fill(about) {
    if (!about.fields.length) return this.act(about.verb, {});
    const close = () => {
      this.sheet.hidden = true;
      this.sheet.replaceChildren();
      this.composer.input.focus();
    };
    const done = (fields, buffers) => {
      close();
      this.act(about.verb, fields, buffers);
    };
    this.sheet.replaceChildren(verb(about, done, close));
    this.sheet.hidden = false;
    this.sheet.querySelector("input, textarea, select")?.focus();
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
    const bubble = make("div", "snb-toast", words);
    bubble.setAttribute("role", "status");
    this.log.node.after(bubble);
    setTimeout(() => bubble.remove(), 2500);
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
    if (where === "last" || where === "around") this.goal = seq;
    this.answered("fetch");
    this.late("fetch", () => this.gone("The kernel does not answer: it is busy, or gone."));
    this.emit({ ask: where, seq, ...(this.talk && { talk: this.talk }) });
  }

  // What comes

  receive(message) {
    if (message.view !== undefined && message.view !== this.view) return;
    if (message.rows) {
      this.news.push(message);
      if (this.news.length === 1) soon(() => this.draw());
    } else if (message.page) this.page(message);
    else if (message.problem) this.problem(message);
    else if (message.turned) this.turned();
    else if (message.said !== undefined) this.landed(message);
    else if (message.pressed !== undefined) this.spent(message);
    else if (message.acted !== undefined) this.answered(message.acted);
    else if (message.inspected) this.inspector.show(message.inspected);
    else if (message.found) this.foundThese(message);
    else if (message.file) this.download(message);
  }

  // What came since the last frame, at once.
  draw() {
    const [burst, rows] = [this.news, []];
    this.news = [];
    for (const message of burst) {
      if (message.facts) this.facts = message.facts;
      this.known = Math.max(this.known ?? 0, message.to);
      if (this.log.newer || this.log.next === undefined) continue; // it looks at what is older
      if (message.from > this.log.next && !rows.length) return this.fetch("since", this.log.next);
      rows.push(...message.rows.filter((row) => this.isHere(row)));
      this.begun(message.rows);
      this.log.live(rows.splice(0), message.to);
    }
    this.fresh();
  }

  isHere(row) {
    return !this.talk || !row.talk || row.talk === this.talk;
  }

  page({ page, where, facts, about }) {
    this.answered("fetch");
    this.gone("");
    [this.facts, this.about] = [facts, about];
    this.log.page(where, page, this.goal);
    this.running = new Set(page.running);
    for (const row of where === "before" ? [] : page.rows) {
      this.settle(row);
      if (row.first !== undefined) this.latency = row.first;
    }
    if (where === "around") this.log.mark(this.query.value);
    if (!this.log.newer && this.log.next < (this.known ?? 0)) this.fetch("since", this.log.next);
    this.fresh();
  }

  // Turns begin and end, and what was typed is seen.
  begun(rows) {
    for (const row of rows) {
      if (row.text !== undefined) {
        this.running.add(row.turn);
        this.log.spendAll(row.text);
      }
      if (row.typing !== undefined) this.typist = row.typing ? row.sender : undefined;
      else if (row.sender === "bot" || row.sender === "agent") [this.typist, this.speaker] = [undefined, row.sender];
      if (row.done !== undefined) this.running.delete(row.turn);
      if (row.first !== undefined) this.latency = row.first;
      this.settle(row);
    }
  }

  settle(row) {
    if (!row.turn) return;
    this.seen.add(row.turn);
    if (this.seen.size > 100) this.seen.delete(this.seen.values().next().value);
    this.unwait(row.turn);
  }

  fresh() {
    const { name, platform, restart, verbs } = this.about;
    const { state } = this.facts;
    const closed = state === "closed";
    this.name.textContent = name;
    this.meta.textContent = [platform, state, this.latency && `first reply ${duration(this.latency)}`].filter(Boolean).join(" · ");
    this.dot.dataset.state = this.dot.title = state;
    this.node.setAttribute("aria-label", `Chat with ${name}`);
    this.again.hidden = !restart;
    this.again.disabled = closed;
    this.node.classList.toggle("snb-has-verbs", Boolean(verbs.length) && !closed);
    this.composer.name(name, closed);
    if (closed) this.log.spendAll();
    const typing = this.running.size ? (this.typist ?? this.speaker ?? "bot") : this.typist && (this.speaker ?? this.typist);
    this.log.typing(!closed && !this.log.newer && typing);
    this.stopping();
    this.tabs();
    if (state === "lost") this.gone("The connection is lost.", "Reconnect", () => this.emit({ do: "reconnect" }));
    else if (closed) this.gone(`This session is closed. Connect again as "${name}" and it goes on here.`);
    else this.gone("");
    this.inspector.refresh();
  }

  stopping() {
    this.composer.stop.hidden = !this.running.size && !this.waiting.size;
  }

  // Several conversations, where the platform has them

  tabs() {
    const { talks = [] } = this.facts;
    this.talks.hidden = this.about.talks < 2;
    if (this.talks.hidden) return;
    if (this.talk === "" && talks.length > this.talked) return this.turn(talks.at(-1).id); // the new one has begun
    this.review(talks);
    const tab = (label, id, about) => {
      const node = button("snb-talk", label, () => this.turn(id));
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
    this.talked = (this.facts.talks ?? []).length;
    if (id === "") this.log.clear(this.known);
    else this.fetch("last");
    this.tabs();
    this.composer.input.focus();
  }

  // One that has just been closed is asked about.
  review(talks) {
    const over = talks.find(({ id, closed }) => closed && this.open?.has(id));
    this.open = new Set(talks.filter(({ closed }) => !closed).map(({ id }) => id));
    const about = this.about.verbs.find(({ verb: name }) => name === "review");
    if (!over || !about || !this.sheet.hidden) return;
    this.talk = over.id;
    this.fill(about);
  }

  turned() {
    this.talk = this.latency = this.known = undefined;
    this.news = [];
    for (const node of this.waiting.values()) node.remove();
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
    if (this.seen.has(turn)) node.remove();
    else this.waiting.set(turn, node);
    this.stopping();
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
    this.unwait(asked.id);
    const seq = asked.press ?? asked.submit ?? asked.date;
    this.answered(`press-${seq}`);
    this.log.restore(seq, this.facts.state !== "closed");
    if (asked.say && asked.id?.startsWith(this.view) && !this.composer.input.value) this.composer.fill(asked.say);
    this.log.tell(problem);
    this.stopping();
  }

  // A line across the top: what is wrong, and what can be done.
  gone(words, label = "Try again", act = () => this.fetch("last")) {
    if (this.banner.dataset.words === words) return;
    this.banner.dataset.words = words;
    this.banner.hidden = !words;
    this.banner.replaceChildren(make("span", "", words));
    if (words && this.facts.state !== "closed") this.banner.append(button("snb-chip", label, act));
  }

  // The kernel has left. What is here stays to be read.
  cut() {
    this.log.spendAll();
    this.log.typing(false);
    const words = "The kernel has gone, and this conversation with it. Its recording stays: run the cell again to go on.";
    this.gone(words, "Reconnect", () => this.fetch("last"));
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
    this.log.sized.disconnect();
    clearTimeout(this.finding);
    for (const key of [...this.asked.keys()]) this.answered(key);
  }
}
