// The form of a verb, above the input line.

import { make } from "./dom.js";
import { verbForm } from "./forms.js";

export class VerbSheet {
  // `start` starts a verb and returns the id of the request. `onClose` is called when the form is closed.
  constructor({ start, onClose }) {
    this.callbacks = { start, onClose };
    this.node = make("div", "snb-sheet");
    this.node.hidden = true;
  }

  open(verb, target) {
    const submit = (fields, buffers) => {
      this.requestId = this.callbacks.start(verb.verb, fields, buffers, target);
    };
    this.requestId = undefined;
    this.form = verbForm(verb, submit, () => this.close());
    this.node.replaceChildren(this.form.node);
    this.node.hidden = false;
    this.node.querySelector("input, textarea, select")?.focus();
  }

  close() {
    this.requestId = this.form = undefined;
    this.node.hidden = true;
    this.node.replaceChildren();
    this.callbacks.onClose();
  }

  // Close the form if an accepted request is its own.
  accepted(id) {
    if (id === this.requestId) this.close();
  }

  // Show an error if the failed request is the form's own, and return whether it is.
  failed(id, error) {
    if (this.requestId === undefined || id !== this.requestId) return false;
    this.form.showError(error);
    return true;
  }
}
