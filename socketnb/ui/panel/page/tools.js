// Actions on one message: copy, edit, send again. The pointer or the arrow keys select the message.

import { beforeFrame, button, make } from "./dom.js";

export class MessageTools {
  constructor(log, rows, { copy, edit, sendAgain }) {
    this.log = log;
    this.rows = rows;
    this.actions = { copy, edit, sendAgain };
    this.node = make("div", "snb-tools");
    this.node.hidden = true;
    log.addEventListener("keydown", (event) => this.onKeydown(event));
    log.addEventListener("pointerover", (event) => this.select(event.target.closest?.(".snb-item")));
    log.addEventListener("focusin", (event) => this.select(event.target.closest(".snb-item")));
  }

  hide() {
    this.node.hidden = true;
  }

  onKeydown(event) {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const current = event.target.closest(".snb-item");
    const isItem = event.target === this.log || event.target === current;
    if (!step || event.altKey || event.shiftKey || !isItem) return;
    event.preventDefault();
    const all = [...this.rows.querySelectorAll(".snb-item[tabindex]")];
    const next = current ? all[all.indexOf(current) + step] : all.at(-1);
    if (!next) return;
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
  }

  select(item) {
    const line = item?.querySelector(".snb-row");
    if (!line || this.node.parentNode === line) return;
    const { copy, edit, sendAgain } = this.actions;
    const text = () => [...item.querySelectorAll(".snb-bubble, .snb-card")].map((part) => part.innerText).join("\n");
    this.node.hidden = false;
    this.node.replaceChildren(button("snb-tool", "Copy", () => copy(text()), "copy"));
    if (item.dataset.verb === "text") {
      this.node.append(
        button("snb-tool", "Edit and send again", () => edit(text()), "edit"),
        button("snb-tool", "Send again", () => sendAgain(text()), "again"),
      );
    }
    this.log.setAttribute("aria-busy", "true"); // so that screen readers do not announce the buttons
    line.append(this.node);
    beforeFrame(() => this.log.removeAttribute("aria-busy"));
  }
}
