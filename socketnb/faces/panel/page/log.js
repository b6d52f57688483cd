// The conversation as the page holds it: a window of at most HELD rows, older and newer ones fetched on scroll.
// The window is all that is shown of the traces from `first` to `next` - 1.

import { button, make, soon } from "./dom.js";
import { dots, item, pending } from "./items.js";

const HELD = 300;
const NEAR = 500; // pixels from an end at which more is fetched

export class Log {
  constructor(acts) {
    this.acts = acts;
    this.node = make("div", "snb-log");
    this.node.setAttribute("role", "log");
    this.node.setAttribute("aria-live", "polite");
    this.node.tabIndex = 0;
    this.rows = make("div", "snb-rows");
    this.tail = make("div", "snb-tail");
    this.dots = dots();
    this.empty = make("div", "snb-empty", "Nothing was said yet.");
    this.node.append(this.empty, this.rows, this.tail);
    this.down = button("snb-down", "Newest messages", () => this.acts.fetch("last"), "down");
    this.down.hidden = true;
    this.tools = make("div", "snb-tools");
    this.node.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.node.addEventListener("keydown", (event) => this.key(event));
    this.node.addEventListener("pointerover", (event) => this.point(event.target.closest?.(".snb-item")));
    this.node.addEventListener("focusin", (event) => this.point(event.target.closest(".snb-item")));
    this.node.addEventListener("pointerleave", () => this.tools.remove());
    this.sized = new ResizeObserver(() => this.held && this.bottom()); // pictures come late, and panels are resized
    for (const part of [this.node, this.rows, this.tail]) this.sized.observe(part);
    this.clear();
  }

  clear(next = 0) {
    this.first = this.next = next;
    this.older = this.newer = this.fetching = false;
    this.top = 0;
    this.held = true; // at the end, and to stay there
    this.streams = new Map(); // number of its first piece → the bubble it grows in
    this.rows.replaceChildren();
  }

  // Pages of rows, as asked for

  page(where, { at, rows, grown, older, newer }, around) {
    this.fetching = false;
    this.node.setAttribute("aria-busy", "true"); // what is older is not news
    if (where === "before") this.prepend(at, rows, older);
    else if (where === "after" || (where === "since" && at[0] <= this.next)) {
      for (const row of grown) {
        const node = this.made(row);
        if (node) this.rows.querySelector(`.snb-item[data-seq="${row.seq}"]`)?.replaceWith(node);
      }
      this.append(rows.filter((row) => row.seq >= this.next));
      [this.next, this.newer] = [Math.max(this.next, at[1]), newer];
    } else {
      this.clear();
      [[this.first, this.next], this.older, this.newer] = [at, older, newer];
      this.append(rows);
      if (where === "around") this.seek(around);
      else this.bottom();
    }
    soon(() => this.node.removeAttribute("aria-busy"));
    this.scrolled();
  }

  prepend(at, rows, older) {
    const below = this.node.scrollHeight - this.node.scrollTop;
    const known = new Set([...this.rows.children].map((node) => node.dataset.seq));
    const nodes = rows.map((row) => this.made(row)).filter((node) => node && !known.has(node.dataset.seq));
    this.rows.prepend(...nodes);
    [this.first, this.older] = [at[0], older];
    this.node.scrollTop = this.node.scrollHeight - below;
    this.held = false;
    while (this.rows.childElementCount > HELD) {
      this.next = Number(this.rows.lastChild.dataset.seq);
      this.rows.lastChild.remove();
      this.newer = true;
    }
  }

  append(rows) {
    for (const row of rows) {
      if (row.stream !== undefined && this.grow(row)) continue;
      const node = this.made(row);
      if (node) this.rows.append(node);
    }
    this.empty.hidden = this.rows.childElementCount > 0;
    if (this.rows.childElementCount <= HELD) return;
    const below = this.node.scrollHeight - this.node.scrollTop;
    while (this.rows.childElementCount > HELD) this.rows.firstChild.remove();
    this.first = Number(this.rows.firstChild.dataset.seq);
    this.older = true;
    this.node.scrollTop = this.node.scrollHeight - below;
  }

  made(row) {
    const node = item(row, this.acts);
    if (node && row.stream !== undefined && row.html === undefined) {
      this.streams.set(row.stream, node.querySelector(".snb-bubble"));
    }
    return node;
  }

  // A piece of a streamed message goes to the end of its bubble; the whole, formatted, takes its place.
  grow(row) {
    if (row.stream < this.first) return true; // its bubble is no longer in the page
    const bubble = this.streams.get(row.stream);
    if (!bubble) return !row.delta && row.html === undefined;
    if (row.delta) bubble.append(row.delta);
    if (row.html !== undefined) {
      bubble.innerHTML = row.html; // sanitised in the kernel
      bubble.classList.remove("snb-streaming");
      this.streams.delete(row.stream);
    }
    return true;
  }

  // What happens now

  live(rows, to) {
    this.append(rows.filter((row) => row.seq >= this.next));
    this.next = Math.max(this.next, to);
    if (!this.held && rows.length) this.down.hidden = false;
  }

  // Until the kernel has recorded what was typed, it stands here, pale.
  wait(text) {
    const node = pending(text);
    this.tail.append(node);
    this.bottom();
    return node;
  }

  typing(sender) {
    if (!sender) return this.dots.node.remove();
    this.dots.of(sender);
    if (!this.dots.node.isConnected) this.tail.prepend(this.dots.node);
  }

  tell(problem) {
    const notice = make("div", "snb-notice", problem);
    notice.dataset.kind = "error";
    notice.setAttribute("role", "alert");
    this.tail.append(notice);
    this.bottom();
    return notice;
  }

  // Buttons are spent once one of theirs was pressed, or something else was said.

  spend(seq, option) {
    for (const node of this.buttons(seq)) {
      node.disabled = true;
      node.classList.remove("snb-late");
      node.classList.toggle("snb-used", node.dataset.option === String(option));
    }
    for (const form of this.rows.querySelectorAll(`.snb-framed[data-seq="${seq}"]`)) form.inert = true;
  }

  spendAll(words) {
    const open = [...this.rows.querySelectorAll(".snb-chip:enabled, .snb-choice:enabled")];
    const latest = open.at(-1)?.dataset.seq;
    for (const node of open) {
      node.disabled = true;
      const same = node.dataset.seq === latest && node.textContent === words;
      if (same && !this.rows.querySelector(`.snb-used[data-seq="${latest}"]`)) node.classList.add("snb-used");
    }
    for (const form of this.rows.querySelectorAll(".snb-framed")) form.inert = true;
  }

  restore(seq, enabled) {
    for (const node of this.buttons(seq)) {
      node.disabled = !enabled;
      node.classList.remove("snb-used", "snb-late");
    }
    for (const form of this.rows.querySelectorAll(`.snb-framed[data-seq="${seq}"]`)) form.inert = !enabled;
  }

  buttons(seq) {
    return this.rows.querySelectorAll(`[data-seq="${seq}"]:is(.snb-chip, .snb-choice)`);
  }

  // Scrolling

  scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.node;
    const left = scrollHeight - scrollTop - clientHeight;
    if (left < 60) this.held = !this.newer;
    else if (scrollTop < this.top) this.held = false; // up, and by hand: growing does not scroll
    this.top = scrollTop;
    this.down.hidden = left < 200 && !this.newer;
    if (this.fetching) return;
    if (scrollTop < NEAR && this.older) this.more("before", this.first);
    else if (left < NEAR && this.newer) this.more("after", this.next);
  }

  more(where, seq) {
    this.fetching = true;
    this.acts.fetch(where, seq);
  }

  bottom() {
    this.node.scrollTop = this.node.scrollHeight;
    this.top = this.node.scrollTop;
    this.held = !this.newer;
  }

  // Bring a row into sight; whether it is here.
  seek(seq) {
    const node = this.rows.querySelector(`.snb-item[data-seq="${seq}"]`);
    if (!node) return false;
    this.held = false;
    node.scrollIntoView({ block: "center" });
    for (const other of this.rows.querySelectorAll(".snb-found")) other.classList.remove("snb-found");
    node.classList.add("snb-found");
    return true;
  }

  // Words that were looked for are marked by the browser, without touching what was said.
  mark(words) {
    if (!CSS.highlights) return;
    const ranges = [];
    const walk = document.createTreeWalker(this.rows, NodeFilter.SHOW_TEXT);
    const wanted = words.toLowerCase();
    while (wanted && walk.nextNode()) {
      const said = walk.currentNode.data.toLowerCase();
      for (let at = said.indexOf(wanted); at >= 0; at = said.indexOf(wanted, at + wanted.length)) {
        if (at + wanted.length > walk.currentNode.length) break; // lower case may be longer
        const range = document.createRange();
        range.setStart(walk.currentNode, at);
        range.setEnd(walk.currentNode, at + wanted.length);
        ranges.push(range);
      }
    }
    CSS.highlights.set("snb-found", new Highlight(...ranges));
  }

  // What can be done with a message: the pointer or the arrow keys choose it.

  key(event) {
    const way = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const here = event.target.closest(".snb-item");
    if (!way || event.altKey || event.shiftKey || (event.target !== this.node && event.target !== here)) return;
    event.preventDefault();
    const all = [...this.rows.querySelectorAll(".snb-item[tabindex]")];
    const next = here ? all[all.indexOf(here) + way] : all.at(-1);
    if (!next) return;
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
  }

  point(node) {
    if (!node?.dataset.sender || this.tools.parentNode === node) return;
    const words = () => [...node.querySelectorAll(".snb-bubble, .snb-card")].map((part) => part.innerText).join("\n");
    const mine = node.dataset.verb === "text";
    this.tools.replaceChildren(button("snb-tool", "Copy", () => this.acts.copy(words()), "copy"));
    if (mine) {
      this.tools.append(
        button("snb-tool", "Edit and send again", () => this.acts.edit(words()), "edit"),
        button("snb-tool", "Send again", () => this.acts.again(words()), "again"),
      );
    }
    node.append(this.tools);
  }
}
