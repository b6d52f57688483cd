// Forms: adaptive cards, date pickers, ratings, and the platform's verbs. protocol.py describes the data.

import { button, errorLine, make, words } from "./dom.js";
import { cardInput, fieldInput, labelled, stars } from "./inputs.js";

const MAX_FILE_BYTES = 8_000_000; // a notebook server does not accept larger messages

function cardNodes(parts, inputs) {
  const nodes = [];
  for (const part of parts) {
    if (part.html !== undefined) {
      const body = make("div", "snb-body");
      body.dir = "auto";
      body.innerHTML = part.html; // sanitised in the kernel
      nodes.push(body);
    } else if (part.columns) {
      const columns = make("div", "snb-columns");
      for (const column of part.columns) {
        const cell = make("div");
        cell.append(...cardNodes(column, inputs));
        columns.append(cell);
      }
      nodes.push(columns);
    } else if (part.summary !== undefined) {
      const details = make("details");
      details.append(make("summary", "", part.summary), ...cardNodes(part.parts, inputs));
      nodes.push(details);
    } else {
      const input = { part, ...cardInput(part) };
      inputs.push(input);
      nodes.push(input.node);
    }
  }
  return nodes;
}

// Return an adaptive card without its buttons, and a function that returns the values of its inputs, or undefined if
// one is missing or wrong.
export function adaptiveCard(parts) {
  const form = make("div", "snb-form");
  const inputs = [];
  form.append(...cardNodes(parts, inputs));
  const error = errorLine();
  const values = () => {
    const invalid = inputs.find(({ part, check, control }) => (part.required || control) && check() !== true);
    for (const { control } of inputs) control?.setAttribute("aria-invalid", String(control === invalid?.control));
    const name = invalid?.part.label || invalid?.part.placeholder || invalid?.part.id;
    const reason = invalid?.control?.value ? `${name}: ${invalid.control.validationMessage}` : `${name} is required`;
    error.textContent = invalid ? invalid.part.error || reason : "";
    if (invalid) return undefined;
    return Object.fromEntries(inputs.filter(({ part }) => part.id).map(({ part, read }) => [part.id, read()]));
  };
  return { form, values, error };
}

// Return a date picker for one date, a range of two dates, or any number of dates.
export function datePicker(picker, submit) {
  const form = make("form", "snb-form snb-date");
  if (picker.label) form.append(make("div", "snb-body snb-bolder", picker.label));
  const isRange = picker.mode === "range";
  const columns = make("div", "snb-columns");
  const addInput = (label) => {
    const input = make("input");
    input.type = picker.input;
    if (picker.min) input.min = picker.min;
    if (picker.max) input.max = picker.max;
    input.value = picker.value;
    input.setAttribute("aria-label", label);
    columns.append(labelled(input, isRange ? label : "", picker.mode !== "multiple"));
    return input;
  };
  const inputs = isRange ? [addInput("From"), addInput("To")] : [addInput(picker.label || "Date")];
  if (isRange) inputs[0].addEventListener("change", () => (inputs[1].min = inputs[0].value || picker.min));
  const actions = make("div", "snb-actions");
  if (picker.mode === "multiple") {
    actions.append(button("snb-chip", "Add a date", () => inputs.push(addInput("Another date"))));
  }
  actions.append(make("button", "snb-chip snb-primary", picker.submit));
  form.append(columns, actions);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(inputs.map((input) => input.value));
  });
  return form;
}

// Return a form for a rating of 1 to 5 stars with an optional comment.
export function rating(submit) {
  const form = make("form", "snb-form");
  const { node, read } = stars("How was it?");
  const comment = make("input");
  comment.placeholder = "Comment (optional)";
  comment.setAttribute("aria-label", "Comment");
  const error = errorLine();
  const actions = make("div", "snb-actions");
  actions.append(make("button", "snb-chip snb-primary", "Rate"));
  form.append(node, comment, error, actions);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    error.textContent = read() ? "" : "Choose one to five stars";
    if (read()) submit({ rating: read(), ...(comment.value && { comment: comment.value }) });
  });
  return form;
}

// Return a form for the fields of a verb. `submit` gets the values and the files.
export function verbForm(verb, submit, cancel) {
  const form = make("form", "snb-form snb-verb");
  form.setAttribute("aria-label", verb.help);
  form.append(make("div", "snb-body", verb.help));
  const inputs = verb.fields.map((field) => ({ field, ...fieldInput(field) }));
  const error = errorLine();
  const actions = make("div", "snb-actions");
  const send = make("button", "snb-chip snb-primary", words(verb.verb));
  actions.append(send, button("snb-chip", "Cancel", cancel));
  form.append(...inputs.map(({ node }) => node), error, actions);
  const showError = (text) => {
    error.textContent = text;
    send.disabled = false;
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    send.disabled = true; // until there is an error
    error.textContent = "";
    const values = {};
    const buffers = [];
    for (const { field, read, file } of inputs) {
      if (read) {
        const value = read();
        if (value !== "" && value !== 0) values[field.name] = value;
        else if (field.required) return showError(`${words(field.name)} is required`);
      } else if (file()) {
        if (file().size > MAX_FILE_BYTES) return showError("The file is larger than 8 MB: send it from Python");
        values[field.name] = file().name;
        buffers.push(await file().arrayBuffer());
      }
    }
    submit(values, buffers);
  });
  form.addEventListener("keydown", (event) => event.key === "Escape" && cancel());
  return { node: form, showError };
}
