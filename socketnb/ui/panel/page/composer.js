// Where people write: Enter sends, Shift+Enter breaks the line, arrow up recalls what was said.

import { button, make } from "./dom.js";

export class Composer {
  constructor({ say, stop }) {
    this.say = say;
    this.said = []; // what was typed here, for the arrow keys
    this.node = make("footer", "snb-foot");
    this.input = make("textarea", "snb-input");
    this.input.rows = 1;
    this.input.dir = "auto";
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.input.addEventListener("input", () => this.grow());
    this.send = button("snb-send", "Send", () => this.submit());
    this.stop = button("snb-stop", "Stop", () => {
      this.input.focus(); // the button is about to go
      stop();
    });
    this.stop.title = "Wait no longer for the answer";
    this.stop.hidden = true;
    this.node.append(this.input, this.stop, this.send);
  }

  name(words, closed) {
    this.input.placeholder = closed ? `${words} is closed` : `Message ${words}`;
    this.input.setAttribute("aria-label", `Message ${words}`);
    this.input.disabled = this.send.disabled = closed;
  }

  fill(text) {
    if (this.input.value.trim()) this.keep(this.input.value); // arrow up brings it back
    this.input.value = text;
    this.grow();
    this.input.focus();
  }

  submit() {
    const text = this.input.value;
    if (!text.trim()) return;
    this.input.value = "";
    this.grow();
    this.keep(text);
    this.say(text);
  }

  keep(text) {
    this.said.push(text);
    this.recalled = undefined;
  }

  key(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.submit();
    } else if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      this.recall(event);
    }
  }

  // Arrow up brings back what was said before, arrow down what was said after it, as in a shell.
  recall(event) {
    const caret = this.input.selectionStart;
    const up = event.key === "ArrowUp";
    if (event.shiftKey || this.input.value.slice(...(up ? [0, caret] : [caret])).includes("\n")) return;
    const place = (this.recalled ?? this.said.length) + (up ? -1 : 1);
    if (place < 0 || place > this.said.length) return;
    event.preventDefault();
    if (this.recalled === undefined || this.recalled === this.said.length) this.draft = this.input.value;
    this.recalled = place;
    this.input.value = place === this.said.length ? this.draft : this.said[place];
    this.grow();
  }

  grow() {
    this.input.style.height = "auto";
    this.input.style.height = `${Math.min(this.input.scrollHeight + 2, 140)}px`;
  }
}
