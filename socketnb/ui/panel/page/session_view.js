// One session in the page: its header, conversation, inspector and forms. protocol.py describes the messages.

import { beforeFrame, isFindShortcut, make, words } from "./dom.js";
import { Activity } from "./activity.js";
import { Banner, Toast } from "./banner.js";
import { ConversationTabs } from "./conversations.js";
import { Finder } from "./finder.js";
import { Header } from "./header.js";
import { Inspector } from "./inspector.js";
import { Log } from "./log.js";
import { Requests } from "./requests.js";
import { VerbSheet } from "./verb_sheet.js";

const FORM = -1; // the option number of the submit button of a form

export class SessionView {
  // `composer` may be shared by several views. `onChange` is called when the view begins or stops waiting.
  constructor(send, composer, onChange) {
    this.post = send;
    this.composer = composer;
    this.onChange = onChange;
    this.requests = new Requests();
    this.activity = new Activity();
    this.batch = []; // messages whose rows are not drawn yet
    this.info = { verbs: [], exports: [] };
    this.status = {};
    this.build();
    this.fetch("last");
  }

  emit(message, buffers) {
    if (!this.dead) this.post({ ...message, view: this.requests.view }, buffers);
  }

  build() {
    this.node = make("section", "snb-panel");
    this.log = new Log({
      fetch: (anchor, seq) => this.fetch(anchor, seq),
      press: (row, option, chip) => this.press(row, { type: "press", option }, chip),
      submit: (row, option, values, chip) => this.press(row, { type: "submit", option, values }, chip),
      date: (row, values) => this.press(row, { type: "date", values }),
      rate: (row, verb, fields) => this.rate(row, verb, fields),
      inspect: (turn) => this.inspect(true, turn),
      copy: (text) => this.copy(text),
      edit: (text) => this.composer.fill(text),
      sendAgain: (text) => this.say(text),
    });
    this.header = new Header(this.node, () => this.info, {
      restart: () => this.emit({ type: "restart" }),
      find: () => this.finder.setOpen(this.finder.node.hidden),
      inspect: () => this.inspect(this.inspector.node.hidden),
      exportAs: (format) => this.emit({ type: "export", format }),
      startVerb: (verb) => this.startVerb(verb),
    });
    this.finder = new Finder(this.log, {
      find: (text) => this.emit({ type: "find", text, ...(this.conversation && this.target) }),
      fetch: (anchor, seq) => this.fetch(anchor, seq),
      onOpen: () => this.header.collapse(false),
      onClose: () => this.focusInput(),
    });
    this.inspector = new Inspector((turn, known) => this.emit({ type: "inspect", turn, known }));
    this.banner = new Banner({ onClick: () => this.focusInput(), onDone: () => this.refresh() });
    this.tabs = new ConversationTabs((id) => this.selectConversation(id));
    this.header.node.append(this.tabs.node, this.finder.node, this.banner.node);
    this.sheet = new VerbSheet({ start: (...args) => this.act(...args), onClose: () => this.focusInput() });
    this.toast = new Toast();
    const middle = make("div", "snb-middle");
    middle.append(this.log.node, this.log.newest, this.toast.node);
    const main = make("div", "snb-main");
    main.append(middle, this.inspector.node);
    this.footer = make("div", "snb-footer");
    this.footer.append(this.sheet.node);
    this.node.append(this.header.node, main, this.footer);
    this.node.addEventListener("keydown", (event) => {
      if (!isFindShortcut(event)) return;
      event.preventDefault();
      this.finder.setOpen(true);
    });
  }

  get closed() {
    return this.status.state === "closed";
  }

  // The conversation of a request; "" means a new one. It is omitted while all conversations are shown.
  get target() {
    return this.conversation === undefined ? {} : { conversation: this.conversation };
  }

  // User actions

  say(text) {
    if (this.dead || this.closed) return;
    if (this.log.newer) this.fetch("last");
    const id = this.requests.newId();
    this.activity.pending.set(id, this.log.addPending(text));
    this.requests.expect(id, () => this.activity.pending.get(id)?.classList.add("snb-delayed"));
    this.emit({ type: "say", text, id, ...this.target });
    this.onChange();
  }

  // A button belongs to the conversation of its message.
  press(row, request, chip) {
    if (this.dead) return;
    this.focusInput();
    this.log.disable(row.seq, request.option ?? FORM);
    this.requests.expect(`press-${row.seq}`, () => chip?.classList.add("snb-delayed"));
    const target = row.conversation ? { conversation: row.conversation } : this.target;
    this.emit({ ...request, seq: row.seq, ...target });
    if (this.log.newer) this.fetch("last");
  }

  rate(row, verb, fields) {
    this.focusInput();
    this.log.disable(row.seq, FORM);
    this.act(verb, fields, [], this.target, row.seq);
  }

  act(verb, fields, buffers, target, seq) {
    const id = this.requests.newId();
    if (verb === this.verbAfterClose?.verb) this.tabs.justClosed = undefined;
    this.requests.expect(id, () => this.toast.show("The kernel is busy. This is done as soon as possible."));
    this.emit({ type: "act", verb, fields, id, seq, ...target }, buffers);
    if (this.log.newer) this.fetch("last");
    return id;
  }

  // Start a verb. If it has fields, show a form for them.
  startVerb(verb) {
    const target = this.target; // the conversation selected now, even if another one is selected before sending
    if (verb.fields.length) this.sheet.open(verb, target);
    else this.act(verb.verb, {}, [], target);
  }

  inspect(open, turn) {
    this.inspector.setOpen(open, turn);
    this.header.inspect.setAttribute("aria-pressed", String(open));
  }

  async copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      this.toast.show("Copied");
    } catch {
      this.toast.show("The browser does not allow copying. Select the text and copy it with the keyboard.");
    }
  }

  focusInput() {
    const target = this.composer.input.disabled ? this.log.node : this.composer.input;
    target.focus({ preventScroll: true });
  }

  fetch(anchor, seq = 0) {
    if (this.dead) return;
    if (anchor === "around") this.match = seq;
    this.requests.expect("fetch", () => {
      this.log.fetching = false;
      this.banner.show("The kernel does not answer. It may be busy.", "Try again", () => this.fetch(anchor, seq));
    });
    this.log.fetching = true;
    this.fetchId = this.requests.newId(); // answers to earlier fetches are ignored
    this.emit({ type: "fetch", anchor, seq, id: this.fetchId, ...this.target });
  }

  // Messages from the kernel

  receive(message) {
    if (message.view !== undefined && message.view !== this.requests.view) return;
    const handlers = {
      rows: () => this.queueRows(message),
      page: () => message.id === this.fetchId && this.onPage(message),
      replaced: () => this.onReplaced(),
      sent: () => this.onSent(message),
      pressed: () => this.onPressed(message),
      accepted: () => this.onAccepted(message),
      restored: () => this.log.enable(message.seq),
      inspected: () => this.inspector.show(message),
      found: () => this.finder.show(message),
      file: () => this.download(message),
      error: () => this.onError(message),
    };
    handlers[message.type]?.();
  }

  queueRows(message) {
    this.batch.push(message);
    if (this.batch.length === 1) beforeFrame(() => this.draw());
  }

  // Draw all rows that arrived since the last frame.
  draw() {
    const [batch, rows] = [this.batch, []];
    this.batch = [];
    let { next } = this.log;
    for (const message of batch) {
      if (message.status) this.status = message.status;
      this.end = Math.max(this.end ?? 0, message.to);
      const visible = message.rows.filter((row) => this.isVisible(row));
      this.activity.addRows(visible);
      for (const row of message.rows) this.noteTurn(row);
      if (message.overflow) this.activity.typist = undefined;
      if (message.from > next || message.overflow) continue; // rows are missing: they are fetched below
      rows.push(...visible);
      next = Math.max(next, message.to);
    }
    this.log.addLive(rows, next);
    const missing = !this.log.newer && next < this.end && !this.requests.isWaiting("fetch");
    if (missing && !this.log.atBottom) this.log.noteMissing();
    else if (missing) this.fetch("since", next);
    this.refresh();
  }

  isVisible(row) {
    return this.conversation === undefined || !row.conversation || row.conversation === this.conversation;
  }

  onPage({ page, anchor, status, info }) {
    this.requests.answered("fetch");
    this.banner.hide();
    [this.status, this.info] = [status, info];
    this.log.showPage(anchor, page, this.match);
    this.activity.running = new Set(page.running);
    if (anchor !== "before") this.activity.typist = undefined;
    for (const row of anchor === "before" ? [] : page.rows) {
      this.noteTurn(row);
      if (row.first_ms !== undefined) this.activity.firstMs = row.first_ms;
    }
    if (!this.log.newer && this.log.next < (this.end ?? 0)) this.fetch("since", this.log.next);
    this.refresh();
  }

  noteTurn(row) {
    this.activity.addTurn(row);
    const begun = this.conversation === "" && this.firstTurn === row.turn && row.conversation;
    if (begun) this.selectConversation(row.conversation); // the new conversation has received its id
  }

  refresh() {
    const { name, verbs } = this.info;
    const { state } = this.status;
    if (!name || this.dead) return;
    this.header.show(this.info, state, this.activity.firstMs);
    this.node.setAttribute("aria-label", `Chat with ${name}`);
    this.node.classList.toggle("snb-has-verbs", Boolean(verbs.length) && !this.closed);
    this.log.node.setAttribute("aria-label", `Conversation with ${name}`);
    if (this.closed) this.log.disableAllChoices();
    this.onChange();
    this.finder.highlight();
    this.log.setTyping(!this.closed && !this.log.newer && this.activity.typingSender);
    this.showTabs();
    this.showBanner();
    this.inspector.refresh();
  }

  showBanner() {
    const { name } = this.info;
    const verb = this.verbAfterClose;
    if (this.status.state === "lost") {
      this.banner.show("The connection is lost.", "Reconnect", () => this.emit({ type: "reconnect" }));
    } else if (this.closed) {
      this.banner.show(`This session is closed. To continue here, connect again with the name "${name}".`);
    } else if (this.tabs.justClosed && verb) {
      const dismiss = () => (this.tabs.justClosed = undefined);
      const label = words(verb.verb).replace(/^./, (letter) => letter.toUpperCase());
      this.banner.show("The conversation was closed.", label, () => this.startAfterClose(), dismiss);
    } else this.banner.hide();
  }

  // Several conversations

  showTabs() {
    if (this.info.max_conversations > 1) this.tabs.show(this.status.conversations ?? [], this.conversation);
  }

  // Show one conversation, and send to it.
  selectConversation(id) {
    this.conversation = id;
    this.firstTurn = undefined;
    this.fetch("last");
    this.finder.search();
    this.showTabs();
    this.composer.input.focus();
  }

  // The verb that is offered after a conversation was closed, if the platform has one.
  get verbAfterClose() {
    return this.info.verbs.find(({ after_close: afterClose }) => afterClose);
  }

  startAfterClose() {
    this.selectConversation(this.tabs.justClosed);
    this.tabs.justClosed = undefined;
    this.startVerb(this.verbAfterClose);
  }

  // Answers

  onReplaced() {
    this.conversation = this.end = undefined;
    this.activity.reset();
    this.tabs.reset();
    this.batch = [];
    this.log.clearTail();
    this.finder.search();
    this.fetch("last");
  }

  onSent({ id, turn }) {
    this.requests.answered(id);
    if (!this.activity.setTurn(id, turn)) return;
    if (this.conversation === "") {
      this.firstTurn = turn;
      const begun = this.activity.conversations.get(turn);
      if (begun) this.selectConversation(begun);
    }
    this.onChange();
  }

  // All views need the number of the button, because two buttons may have the same label.
  onPressed({ seq, option }) {
    this.requests.answered(`press-${seq}`);
    this.log.disable(seq, option);
  }

  onAccepted({ id }) {
    this.requests.answered(id);
    this.sheet.accepted(id);
  }

  onError({ error, request }) {
    this.requests.answered(request.id);
    if (request.id !== undefined && request.id === this.fetchId) {
      this.requests.answered("fetch");
      this.log.fetching = false;
    }
    if (this.sheet.failed(request.id, error)) return;
    this.activity.removePending(request.id);
    this.requests.answered(`press-${request.seq}`);
    if (request.type !== "fetch" && request.seq !== undefined && !this.closed) this.log.enable(request.seq);
    if (request.view !== this.requests.view) return;
    if (request.type === "say" && !this.composer.input.value) this.composer.fill(request.text);
    this.log.showError(error);
    this.onChange();
  }

  download({ name, content }) {
    const link = make("a");
    link.href = URL.createObjectURL(new Blob([content]));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  // The kernel has stopped. The conversation stays readable.
  disconnect() {
    this.dead = true;
    this.requests.clear();
    this.activity.reset();
    this.log.disableAll();
    this.log.setTyping(false);
    this.banner.show("The kernel has stopped, and the conversation with it. Run the cell again to reconnect.");
    this.onChange();
  }

  dispose() {
    this.inspector.dispose();
    this.log.dispose();
    this.finder.dispose();
    this.toast.dispose();
    this.requests.clear();
  }
}
