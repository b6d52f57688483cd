// The visible part of the conversation: a window of at most MAX_ROWS rows. Scrolling fetches older and newer rows.
// The window contains all rows of the traces from `first` to `next` - 1.

import { beforeFrame, button, make } from "./dom.js";
import { disableChoices, enableChoices, makeItem, markUnsent, pendingItem, typingIndicator } from "./items.js";
import { Highlights } from "./highlights.js";
import { MessageTools } from "./tools.js";

const MAX_ROWS = 300;
const FETCH_DISTANCE_PX = 500; // more rows are fetched at this distance from an end
const BOTTOM_DISTANCE_PX = 20; // up to this distance from the bottom, the log stays at the bottom
const NEWEST_DISTANCE_PX = 200; // from this distance on, there is a button that scrolls to the bottom

export class Log {
  constructor(actions) {
    this.actions = actions;
    this.node = make("div", "snb-log");
    this.node.setAttribute("role", "log");
    this.node.setAttribute("aria-live", "polite");
    this.node.tabIndex = 0;
    this.rows = make("div", "snb-rows");
    this.tail = make("div", "snb-tail"); // items that are not recorded: pending texts, errors, the typing indicator
    this.indicator = typingIndicator();
    this.empty = make("div", "snb-empty", "No messages yet");
    this.node.append(this.empty, this.rows, this.tail);
    this.newest = button("snb-newest", "Newest messages", () => this.goToNewest(), "down");
    this.newest.hidden = true;
    this.tools = new MessageTools(this.node, this.rows, actions);
    this.highlights = new Highlights(this.rows);
    this.node.addEventListener("scroll", () => this.onScroll(), { passive: true });
    this.node.addEventListener("error", (event) => this.replaceBroken(event.target), true);
    // Images load late, and panels are resized.
    this.resizes = new ResizeObserver(() => this.atBottom && this.scrollToBottom());
    for (const part of [this.node, this.rows, this.tail]) this.resizes.observe(part);
    this.clear();
  }

  clear(next = 0) {
    this.first = this.next = next;
    this.older = this.newer = this.fetching = false;
    this.top = 0;
    this.atBottom = true; // whether the log stays at the bottom when rows are added
    this.streams = new Map(); // seq of a stream's first piece → the bubble that it is added to
    for (const node of this.queued?.values() ?? []) node.remove();
    this.queued = new Map(); // turns that are not sent yet → the item in the tail
    this.rows.replaceChildren();
    this.empty.hidden = false;
    this.tools.hide();
  }

  dispose() {
    this.resizes.disconnect();
    this.highlight("");
  }

  // Pages of rows

  showPage(anchor, page, match) {
    this.fetching = false;
    this.node.setAttribute("aria-busy", "true"); // so that screen readers do not announce older messages
    if (anchor === "before") this.prepend(page);
    else if (anchor === "after" || (anchor === "since" && page.from <= this.next)) {
      for (const row of page.continued) {
        const node = this.makeItem(row);
        if (node) this.item(row.seq)?.replaceWith(node);
      }
      this.append(page.rows);
      [this.next, this.newer] = [Math.max(this.next, page.to), page.newer];
      if (anchor === "after") this.trimTop();
    } else {
      this.clear(page.from);
      this.append(page.rows);
      [this.next, this.older, this.newer] = [page.to, page.older, page.newer];
      if (anchor === "around") this.showMatch(match);
      else this.scrollToBottom();
    }
    if (this.atBottom) this.scrollToBottom();
    beforeFrame(() => this.node.removeAttribute("aria-busy"));
    this.onScroll();
  }

  prepend({ from, rows, older }) {
    const below = this.node.scrollHeight - this.node.scrollTop;
    const [open, nodes] = [[], []];
    for (const row of rows) {
      if (this.showQueued(row)) continue;
      const node = this.makeItem(row);
      if (!node) continue;
      if (row.text !== undefined) for (const choices of open.splice(0)) disableChoices(choices, row.text);
      if (node.classList.contains("snb-open-choices")) open.push(node);
      nodes.push(node);
    }
    this.rows.prepend(...nodes);
    [this.first, this.older] = [from, older];
    this.scrollTo(this.node.scrollHeight - below);
    this.atBottom = false;
    while (this.rows.childElementCount > MAX_ROWS) {
      this.next = Number(this.rows.lastChild.dataset.seq);
      this.streams.delete(this.next);
      this.rows.lastChild.remove();
      this.newer = true;
    }
  }

  append(rows) {
    for (const row of rows) {
      if (row.seq < this.next && row.stream === undefined) continue; // the row is already present
      if (this.showQueued(row)) continue;
      if (row.text !== undefined) this.disableAllChoices(row.text, row.conversation);
      if (row.stream !== undefined && this.growStream(row)) continue;
      const node = this.makeItem(row);
      if (node) this.rows.append(node);
    }
    this.empty.hidden = this.rows.childElementCount > 0;
  }

  // Show an action that is not sent yet in the tail. When it is sent, its row takes its place; if its turn ends before,
  // it stays as an action that was not sent. Return whether the row needs no item of its own.
  showQueued(row) {
    const node = this.queued.get(row.turn);
    if (row.queued) {
      if (!node) this.queued.set(row.turn, this.tail.appendChild(this.makeItem(row)));
      return true;
    }
    if (node && (row.text !== undefined || row.done_ms !== undefined)) {
      this.queued.delete(row.turn);
      if (row.text !== undefined) node.remove();
      else {
        markUnsent(node, "");
        this.rows.append(node);
      }
    }
    return false;
  }

  trimTop() {
    if (this.rows.childElementCount <= MAX_ROWS) return;
    const below = this.node.scrollHeight - this.node.scrollTop;
    while (this.rows.childElementCount > MAX_ROWS) {
      this.streams.delete(Number(this.rows.firstChild.dataset.seq));
      this.rows.firstChild.remove();
    }
    this.first = Number(this.rows.firstChild.dataset.seq);
    this.older = true;
    this.scrollTo(this.node.scrollHeight - below);
  }

  makeItem(row) {
    const node = makeItem(row, this.actions);
    if (node && row.stream !== undefined && row.html === undefined) {
      this.streams.set(row.stream, node.querySelector(".snb-bubble"));
    }
    return node;
  }

  item(seq) {
    return this.rows.querySelector(`.snb-item[data-seq="${seq}"]`);
  }

  // Add a piece of a streamed message to its bubble. The complete message replaces the item. Return false if the stream
  // needs a new row.
  growStream(row) {
    if (row.stream < this.first) return true; // its bubble is no longer in the page
    const bubble = this.streams.get(row.stream);
    if (!bubble) return row.seq < this.next || (!row.delta && row.html === undefined);
    if (row.seq < this.next) return true;
    if (row.delta) bubble.append(row.delta);
    if (row.html !== undefined || row.choices || row.data !== undefined) {
      const node = makeItem({ ...row, seq: row.stream, stream: undefined }, this.actions);
      node.style.animation = "none"; // the item is not new
      bubble.closest(".snb-item").replaceWith(node);
      this.streams.delete(row.stream);
    }
    return true;
  }

  // Add new rows. If the user reads older rows and the window is full, new rows are fetched later.
  addLive(rows, to) {
    if (this.newer || (!this.atBottom && this.rows.childElementCount + rows.length > MAX_ROWS)) {
      this.newer ||= rows.length > 0;
      for (const row of rows) if (!row.queued) this.showQueued(row);
      if (!this.newer) this.next = Math.max(this.next, to);
    } else {
      this.append(rows);
      this.next = Math.max(this.next, to);
      this.trimTop();
      if (this.atBottom) this.scrollToBottom();
    }
    if (!this.atBottom && rows.length) this.newest.hidden = false;
  }

  // Rows were omitted. They are fetched when the user scrolls to them.
  noteMissing() {
    this.newer = true;
    this.newest.hidden = false;
  }

  // The tail

  addPending(text) {
    const node = pendingItem(text);
    this.tail.append(node);
    this.scrollToBottom();
    return node;
  }

  clearTail() {
    this.tail.replaceChildren();
  }

  setTyping(sender) {
    if (!sender) return this.indicator.node.remove();
    this.indicator.setSender(sender);
    if (!this.indicator.node.isConnected) this.tail.prepend(this.indicator.node);
  }

  showError(text) {
    const notice = make("div", "snb-notice", text);
    notice.dataset.kind = "error";
    notice.setAttribute("role", "alert");
    this.clearErrors();
    this.tail.append(notice);
    this.scrollToBottom();
  }

  clearErrors() {
    for (const notice of this.tail.querySelectorAll(".snb-notice")) notice.remove();
  }

  // Buttons are enabled until one is pressed or the user acts in another way.

  disable(seq, option) {
    const node = this.item(seq);
    if (node) disableChoices(node, undefined, String(option));
  }

  disableAllChoices(label, conversation) {
    this.clearErrors();
    const open = [...this.rows.querySelectorAll(".snb-item.snb-open-choices")].filter(
      ({ dataset }) => !conversation || !dataset.conversation || dataset.conversation === conversation,
    );
    for (const node of open) {
      disableChoices(node, node === open.at(-1) ? label : undefined);
      node.classList.remove("snb-open-choices");
    }
  }

  // Disable all buttons and forms, because the kernel has stopped.
  disableAll() {
    for (const node of this.rows.children) disableChoices(node);
  }

  enable(seq) {
    const node = this.item(seq);
    if (node) enableChoices(node);
  }

  // Scrolling

  onScroll() {
    const { scrollTop, scrollHeight, clientHeight } = this.node;
    const below = scrollHeight - scrollTop - clientHeight;
    // The position also decreases if the content shrinks, but then the log is still at the bottom.
    if (scrollTop < this.top && below > 1) this.atBottom = false;
    else if (below < BOTTOM_DISTANCE_PX) this.atBottom = !this.newer;
    this.top = scrollTop;
    this.newest.hidden = below < NEWEST_DISTANCE_PX && !this.newer;
    if (this.fetching) return;
    if (scrollTop < FETCH_DISTANCE_PX && this.older) this.fetch("before", this.first);
    else if (below < FETCH_DISTANCE_PX && this.newer) this.fetch("after", this.next);
  }

  fetch(anchor, seq) {
    this.fetching = true;
    this.actions.fetch(anchor, seq);
  }

  goToNewest() {
    this.node.focus({ preventScroll: true }); // the button is about to be hidden
    if (this.newer) this.actions.fetch("last");
    else this.scrollToBottom();
  }

  scrollToBottom() {
    this.scrollTo(this.node.scrollHeight);
    this.atBottom = !this.newer;
  }

  scrollTo(top) {
    this.node.scrollTop = top;
    this.top = this.node.scrollTop;
  }

  // Search

  // Scroll to a row; return whether it is in the page.
  showMatch(seq) {
    this.clearMatch();
    const node = this.item(seq);
    if (!node) return false;
    this.atBottom = false;
    node.scrollIntoView({ block: "center" });
    this.top = this.node.scrollTop;
    node.classList.add("snb-match");
    return true;
  }

  clearMatch() {
    for (const node of this.rows.querySelectorAll(".snb-match")) node.classList.remove("snb-match");
  }

  highlight(text) {
    this.highlights.show(text);
  }

  // Replace an image that cannot be loaded by its description.
  replaceBroken(node) {
    if (node.localName !== "img") return;
    node.replaceWith(make("span", "snb-broken", node.alt || "image not available"));
  }
}
