// The input line: Enter sends, Shift+Enter breaks the line, arrow keys recall earlier texts.

import { button, make } from "./dom.js";

const MAX_HEIGHT_PX = 140;

export class Composer {
  constructor({ say, stop }) {
    this.say = say;
    this.history = []; // the texts typed in this input
    this.node = make("footer", "snb-composer");
    this.input = make("textarea", "snb-input");
    this.input.rows = 1;
    this.input.dir = "auto";
    this.input.addEventListener("keydown", (event) => this.onKeydown(event));
    this.input.addEventListener("input", () => this.grow());
    this.send = button("snb-send", "Send", () => this.submit());
    this.stop = button("snb-stop", "Stop", () => {
      this.input.focus(); // the button is about to be hidden
      stop();
    });
    this.stop.title = "Stop waiting for the answer";
    this.stop.hidden = true;
    this.node.append(this.input, this.stop, this.send);
  }

  setName(name, closed) {
    this.input.placeholder = closed ? `${name} is closed` : `Message ${name}`;
    this.input.setAttribute("aria-label", `Message ${name}`);
    this.input.disabled = this.send.disabled = closed;
  }

  // Replace the text. Arrow up restores the previous text.
  fill(text) {
    if (this.input.value.trim()) this.remember(this.input.value);
    this.input.value = text;
    this.grow();
    this.input.focus();
  }

  submit() {
    const text = this.input.value;
    if (!text.trim()) return;
    this.input.value = "";
    this.grow();
    this.remember(text);
    this.say(text);
  }

  remember(text) {
    this.history.push(text);
    this.position = undefined;
  }

  onKeydown(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.submit();
    } else if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      this.recall(event);
    }
  }

  // Arrow up recalls the previous text and arrow down the next one, as in a shell.
  recall(event) {
    const caret = this.input.selectionStart;
    const up = event.key === "ArrowUp";
    if (event.shiftKey || this.input.value.slice(...(up ? [0, caret] : [caret])).includes("\n")) return;
    const position = (this.position ?? this.history.length) + (up ? -1 : 1);
    if (position < 0 || position > this.history.length) return;
    event.preventDefault();
    if (this.position === undefined || this.position === this.history.length) this.draft = this.input.value;
    this.position = position;
    this.input.value = position === this.history.length ? this.draft : this.history[position];
    this.grow();
  }

  grow() {
    this.input.style.height = "auto";
    this.input.style.height = `${Math.min(this.input.scrollHeight + 2, MAX_HEIGHT_PX)}px`;
  }
}
