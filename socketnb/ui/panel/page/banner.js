// A line below the header that shows a problem, with a button for an action.

import { button, make } from "./dom.js";

export class Banner {
  // `onClick` is called before the action of a button, and `onDone` after it.
  constructor({ onClick, onDone }) {
    this.callbacks = { onClick, onDone };
    this.node = make("div", "snb-banner");
    this.node.hidden = true;
    this.node.setAttribute("role", "alert");
  }

  // Show a text, with a button if there is a label, and another button that dismisses the banner if `dismiss` is given.
  show(text, label, action, dismiss) {
    this.action = action; // the latest, even if the text stays the same
    if (this.text === text) return;
    this.text = text;
    this.node.hidden = !text;
    this.node.replaceChildren(make("span", "", text));
    const click = (callback) => () => {
      this.callbacks.onClick();
      callback();
      this.callbacks.onDone();
    };
    if (label) this.node.append(button("snb-chip", label, click(() => this.action())));
    if (dismiss) this.node.append(button("snb-chip", "Not now", click(dismiss)));
  }

  hide() {
    this.show("");
  }
}

const TOAST_MS = 2500;

// A short message that disappears after a moment.
export class Toast {
  constructor() {
    this.node = make("div", "snb-toast");
    this.node.setAttribute("role", "status");
  }

  show(text) {
    this.node.textContent = text;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => (this.node.textContent = ""), TOAST_MS);
  }

  dispose() {
    clearTimeout(this.timer);
  }
}
