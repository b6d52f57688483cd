// Search in the whole conversation. The kernel finds the rows, the log shows them and highlights the text.

import { button, make } from "./dom.js";

const TYPING_PAUSE_MS = 200; // the pause in typing after which a search starts

export class Finder {
  constructor(log, { find, fetch, onOpen, onClose }) {
    this.log = log;
    this.callbacks = { find, fetch, onOpen, onClose };
    this.matches = []; // the seqs of the rows
    this.node = make("div", "snb-finder");
    this.node.hidden = true;
    this.node.setAttribute("role", "search");
    this.query = make("input", "snb-query");
    this.query.type = "search";
    this.query.placeholder = "Search the conversation";
    this.query.setAttribute("aria-label", "Search the conversation");
    this.count = make("span", "snb-match-count");
    this.count.setAttribute("role", "status");
    this.query.addEventListener("input", () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.search(), TYPING_PAUSE_MS);
    });
    this.query.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.setOpen(false);
      if (event.key === "Enter") this.step(event.shiftKey ? 1 : -1);
    });
    const earlier = button("snb-tool", "Earlier", () => this.step(-1), "up");
    const later = button("snb-tool", "Later", () => this.step(1), "next");
    const close = button("snb-tool", "Close search", () => this.setOpen(false), "close");
    this.node.append(this.query, this.count, earlier, later, close);
  }

  setOpen(open) {
    this.node.hidden = !open;
    if (open) {
      this.callbacks.onOpen();
      this.query.select();
    } else {
      this.query.value = "";
      this.search();
      this.callbacks.onClose();
    }
  }

  // Search for the current query, and clear the results of the previous one.
  search() {
    this.matches = [];
    this.count.textContent = "";
    this.log.highlight("");
    this.log.clearMatch();
    if (this.query.value.trim()) this.callbacks.find(this.query.value);
  }

  show({ seqs, text }) {
    if (text !== this.query.value) return;
    this.matches = seqs;
    this.current = seqs.length;
    if (seqs.length) this.step(-1);
    else this.count.textContent = "nothing found";
  }

  step(direction) {
    const total = this.matches.length;
    if (!total) return;
    this.current = (this.current + direction + total) % total;
    this.count.textContent = `${this.current + 1} of ${total}`;
    const seq = this.matches[this.current];
    if (this.log.showMatch(seq)) this.highlight();
    else this.callbacks.fetch("around", seq);
  }

  highlight() {
    if (this.query.value) this.log.highlight(this.query.value);
  }

  dispose() {
    clearTimeout(this.timer);
  }
}
