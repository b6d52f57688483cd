// Looking for words in all of a conversation: the kernel knows where they are, the log goes there and marks them.

import { button, make } from "./dom.js";

export class Finder {
  constructor(log, { ask, fetch, opens, leaves }) {
    this.log = log;
    this.acts = { ask, fetch, opens, leaves };
    this.found = [];
    this.node = make("div", "snb-finder");
    this.node.hidden = true;
    this.node.setAttribute("role", "search");
    this.query = make("input", "snb-query");
    this.query.type = "search";
    this.query.placeholder = "Search the conversation";
    this.query.setAttribute("aria-label", "Search the conversation");
    this.hits = make("span", "snb-hits");
    this.hits.setAttribute("role", "status");
    this.query.addEventListener("input", () => {
      clearTimeout(this.due);
      this.due = setTimeout(() => this.find(), 200);
    });
    this.query.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.open(false);
      if (event.key === "Enter") this.step(event.shiftKey ? 1 : -1);
    });
    const up = button("snb-tool", "Earlier", () => this.step(-1), "up");
    const next = button("snb-tool", "Later", () => this.step(1), "next");
    const close = button("snb-tool", "Close search", () => this.open(false), "close");
    this.node.append(this.query, this.hits, up, next, close);
  }

  open(wanted) {
    this.node.hidden = !wanted;
    if (wanted) {
      this.acts.opens();
      this.query.select();
    } else {
      this.query.value = "";
      this.find();
      this.acts.leaves();
    }
  }

  // Look for what is asked for now; what was found before is forgotten.
  find() {
    this.found = [];
    this.hits.textContent = "";
    this.log.mark("");
    this.log.unseek();
    if (this.query.value.trim()) this.acts.ask(this.query.value);
  }

  show({ found, words }) {
    if (words !== this.query.value) return;
    this.found = found;
    this.hit = found.length;
    if (found.length) this.step(-1);
    else this.hits.textContent = "nothing found";
  }

  step(way) {
    const total = this.found.length;
    if (!total) return;
    this.hit = (this.hit + way + total) % total;
    this.hits.textContent = `${this.hit + 1} of ${total}`;
    const seq = this.found[this.hit];
    if (this.log.seek(seq)) this.mark();
    else this.acts.fetch("around", seq);
  }

  mark() {
    if (this.query.value) this.log.mark(this.query.value);
  }

  leave() {
    clearTimeout(this.due);
  }
}
