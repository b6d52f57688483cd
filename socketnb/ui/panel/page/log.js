// The conversation as the page holds it: a window of at most HELD rows, older and newer ones fetched on scroll.
// The window is all that is shown of the traces from `first` to `next` - 1.

import { button, make, soon } from "./dom.js";
import { dots, item, pending, spend } from "./items.js";

const HELD = 300;
const NEAR = 500; // pixels from an end at which more is fetched

// Words that are looked for are marked by the browser, without touching what was said: one set of marks for the page.
const MARKS = typeof Highlight === "undefined" ? undefined : new Highlight();
if (MARKS) CSS.highlights.set("snb-found", MARKS);

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
    this.down = button("snb-down", "Newest messages", () => this.newest(), "down");
    this.down.hidden = true;
    this.tools = make("div", "snb-tools");
    this.tools.hidden = true;
    this.marks = [];
    this.node.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.node.addEventListener("keydown", (event) => this.key(event));
    this.node.addEventListener("pointerover", (event) => this.point(event.target.closest?.(".snb-item")));
    this.node.addEventListener("focusin", (event) => this.point(event.target.closest(".snb-item")));
    this.node.addEventListener("error", (event) => this.broken(event.target), true);
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
    this.empty.hidden = false;
    this.tools.hidden = true;
  }

  leave() {
    this.sized.disconnect();
    this.mark("");
  }

  // Pages of rows, as asked for

  page(where, { at, rows, grown, older, newer }, around) {
    this.fetching = false;
    this.node.setAttribute("aria-busy", "true"); // what is older is not news
    if (where === "before") this.prepend(at, rows, older);
    else if (where === "after" || (where === "since" && at[0] <= this.next)) {
      for (const row of grown) {
        const node = this.made(row);
        if (node) this.item(row.seq)?.replaceWith(node);
      }
      this.append(rows);
      [this.next, this.newer] = [Math.max(this.next, at[1]), newer];
      if (where === "after") this.trimTop();
    } else {
      this.clear(at[0]);
      this.append(rows);
      [this.next, this.older, this.newer] = [at[1], older, newer];
      if (where === "around") this.seek(around);
      else this.bottom();
    }
    if (this.held) this.bottom();
    soon(() => this.node.removeAttribute("aria-busy"));
    this.scrolled();
  }

  prepend(at, rows, older) {
    const below = this.node.scrollHeight - this.node.scrollTop;
    const [open, nodes] = [[], []];
    for (const row of rows) {
      const node = this.made(row);
      if (!node) continue;
      if (row.text !== undefined) for (const offer of open.splice(0)) spend(offer, row.text);
      if (node.classList.contains("snb-offer")) open.push(node);
      nodes.push(node);
    }
    this.rows.prepend(...nodes);
    [this.first, this.older] = [at[0], older];
    this.scrollTo(this.node.scrollHeight - below);
    this.held = false;
    while (this.rows.childElementCount > HELD) {
      this.next = Number(this.rows.lastChild.dataset.seq);
      this.streams.delete(this.next);
      this.rows.lastChild.remove();
      this.newer = true;
    }
  }

  append(rows) {
    for (const row of rows) {
      if (row.seq < this.next && row.stream === undefined) continue; // it is here already
      if (row.text !== undefined) this.spendAll(row.text, row.talk);
      if (row.stream !== undefined && this.grow(row)) continue;
      const node = this.made(row);
      if (node) this.rows.append(node);
    }
    this.empty.hidden = this.rows.childElementCount > 0;
  }

  trimTop() {
    if (this.rows.childElementCount <= HELD) return;
    const below = this.node.scrollHeight - this.node.scrollTop;
    while (this.rows.childElementCount > HELD) {
      this.streams.delete(Number(this.rows.firstChild.dataset.seq));
      this.rows.firstChild.remove();
    }
    this.first = Number(this.rows.firstChild.dataset.seq);
    this.older = true;
    this.scrollTo(this.node.scrollHeight - below);
  }

  made(row) {
    const node = item(row, this.acts);
    if (node && row.stream !== undefined && row.html === undefined) {
      this.streams.set(row.stream, node.querySelector(".snb-bubble"));
    }
    return node;
  }

  item(seq) {
    return this.rows.querySelector(`.snb-item[data-seq="${seq}"]`);
  }

  // A piece of a streamed message goes to the end of its bubble; the whole, formatted, takes its place.
  grow(row) {
    if (row.stream < this.first) return true; // its bubble is no longer in the page
    const bubble = this.streams.get(row.stream);
    if (!bubble) return row.seq < this.next || (!row.delta && row.html === undefined);
    if (row.seq < this.next) return true;
    if (row.delta) bubble.append(row.delta);
    if (row.html !== undefined) {
      bubble.innerHTML = row.html; // sanitised in the kernel
      bubble.classList.remove("snb-streaming");
      bubble.closest(".snb-row").removeAttribute("aria-busy");
      this.streams.delete(row.stream);
    }
    return true;
  }

  // What happens now. Who reads what is older, and holds as many rows as may be, is left where they are.
  live(rows, to) {
    if (this.newer || (!this.held && this.rows.childElementCount + rows.length > HELD)) {
      this.newer ||= rows.length > 0;
      if (!this.newer) this.next = Math.max(this.next, to);
    } else {
      this.append(rows);
      this.next = Math.max(this.next, to);
      this.trimTop();
      if (this.held) this.bottom();
    }
    if (!this.held && rows.length) this.down.hidden = false;
  }

  // Something came that is not here. Who reads what is older is left there.
  miss() {
    this.newer = true;
    this.down.hidden = false;
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

  // What went wrong stands where it happened, and is no row of the conversation.
  tell(problem) {
    const notice = make("div", "snb-notice", problem);
    notice.dataset.kind = "error";
    notice.setAttribute("role", "alert");
    for (const other of this.tail.querySelectorAll(".snb-notice")) other.remove();
    this.tail.append(notice);
    this.bottom();
  }

  // Buttons are spent once one of theirs was pressed, or something else was said.

  spend(seq, option) {
    const node = this.item(seq);
    if (node) spend(node, undefined, String(option));
  }

  spendAll(words, talk) {
    for (const notice of this.tail.querySelectorAll(".snb-notice")) notice.remove();
    const offers = [...this.rows.querySelectorAll(".snb-item.snb-offer")];
    const open = offers.filter((node) => !talk || !node.dataset.talk || node.dataset.talk === talk);
    for (const node of open) {
      spend(node, node === open.at(-1) ? words : undefined);
      node.classList.remove("snb-offer");
    }
  }

  // The kernel has gone: nothing can be pressed any more.
  freeze() {
    for (const node of this.rows.children) spend(node);
  }

  restore(seq) {
    const node = this.item(seq);
    if (!node) return;
    if (!node.querySelector(".snb-framed")) node.classList.add("snb-offer");
    for (const chip of node.querySelectorAll("[data-option]")) {
      chip.disabled = false;
      chip.classList.remove("snb-used", "snb-late");
    }
    for (const form of node.querySelectorAll(".snb-framed")) form.inert = false;
  }

  // Scrolling

  scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.node;
    const left = scrollHeight - scrollTop - clientHeight;
    if (scrollTop < this.top && left > 1) this.held = false; // up, and by hand: what shrinks stays at its end
    else if (left < 20) this.held = !this.newer;
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

  newest() {
    this.node.focus({ preventScroll: true }); // the button is about to go
    if (this.newer) this.acts.fetch("last");
    else this.bottom();
  }

  bottom() {
    this.scrollTo(this.node.scrollHeight);
    this.held = !this.newer;
  }

  scrollTo(top) {
    this.node.scrollTop = top;
    this.top = this.node.scrollTop;
  }

  // Bring a row into sight; whether it is here.
  seek(seq) {
    this.unseek();
    const node = this.item(seq);
    if (!node) return false;
    this.held = false;
    node.scrollIntoView({ block: "center" });
    this.top = this.node.scrollTop;
    node.classList.add("snb-found");
    return true;
  }

  unseek() {
    for (const other of this.rows.querySelectorAll(".snb-found")) other.classList.remove("snb-found");
  }

  mark(words) {
    for (const range of this.marks) MARKS?.delete(range);
    this.marks = [];
    const walk = document.createTreeWalker(this.rows, NodeFilter.SHOW_TEXT);
    const wanted = words.toLowerCase();
    while (wanted && walk.nextNode()) {
      const said = walk.currentNode.data.toLowerCase();
      for (let at = said.indexOf(wanted); at >= 0; at = said.indexOf(wanted, at + wanted.length)) {
        if (at + wanted.length > walk.currentNode.length) break; // lower case may be longer
        const range = document.createRange();
        range.setStart(walk.currentNode, at);
        range.setEnd(walk.currentNode, at + wanted.length);
        this.marks.push(range);
      }
    }
    for (const range of this.marks) MARKS?.add(range);
  }

  // A picture that cannot be had says what it was.
  broken(node) {
    if (node.localName !== "img") return;
    node.replaceWith(make("span", "snb-broken", node.alt || "a picture that cannot be had"));
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
    const line = node?.querySelector(".snb-row");
    if (!line || this.tools.parentNode === line) return;
    const words = () => [...node.querySelectorAll(".snb-bubble, .snb-card")].map((part) => part.innerText).join("\n");
    const mine = node.dataset.verb === "text";
    this.tools.hidden = false;
    this.tools.replaceChildren(button("snb-tool", "Copy", () => this.acts.copy(words()), "copy"));
    if (mine) {
      this.tools.append(
        button("snb-tool", "Edit and send again", () => this.acts.edit(words()), "edit"),
        button("snb-tool", "Send again", () => this.acts.again(words()), "again"),
      );
    }
    this.node.setAttribute("aria-busy", "true"); // these are no news
    line.append(this.tools);
    soon(() => this.node.removeAttribute("aria-busy"));
  }
}
