// The inputs of forms: of adaptive cards, and of the fields of verbs. protocol.py describes the data.

import { icon, make, words } from "./dom.js";

let inputCount = 0; // for ids and group names that are unique in the page

const requiredMark = () => make("span", "snb-required", " *");

// Return a control with its label above it, which screen readers read as its name.
export function labelled(control, text, required) {
  const line = make("div", "snb-field");
  control.id = `snb-${++inputCount}`;
  if (text) {
    const label = make("label", "", text);
    label.htmlFor = control.id;
    if (required) label.append(requiredMark());
    line.append(label);
  }
  if (required) control.required = true;
  line.append(control);
  return line;
}

// Each of the following functions returns an input as `{ node, read, check, control }`: the node, a function that
// returns the value, a function that returns whether the input is filled in and otherwise focuses it, and the
// validated control.

function optionGroup(part) {
  const group = make("fieldset", "snb-field");
  if (part.label) {
    const legend = make("legend", "", part.label);
    if (part.required) legend.append(requiredMark());
    group.append(legend);
  }
  const selected = (part.value ?? "").split(",");
  const boxes = part.options.map(([title, value]) => {
    const line = make("label", "snb-option");
    const box = make("input");
    box.type = part.multiple ? "checkbox" : "radio";
    box.name = `snb-group-${inputCount}`;
    box.value = value;
    box.checked = selected.includes(value);
    line.append(box, make("span", "", title));
    group.append(line);
    return box;
  });
  inputCount += 1;
  const read = () => boxes.filter((box) => box.checked).map((box) => box.value).join(",");
  return { node: group, read, check: () => Boolean(read()) || boxes[0]?.focus() };
}

function dropDown(part) {
  const list = make("select");
  const empty = make("option", "", part.placeholder || "…");
  empty.value = "";
  list.append(empty);
  for (const [title, value] of part.options) {
    const option = make("option", "", title);
    option.value = value;
    list.append(option);
  }
  list.value = part.value ?? "";
  const node = labelled(list, part.label, part.required);
  return { node, read: () => list.value, check: () => Boolean(list.value) || list.focus() };
}

function toggle(part) {
  const line = make("label", "snb-option");
  const box = make("input");
  box.type = "checkbox";
  box.checked = part.value === part.on;
  line.append(box, make("span", "", part.label));
  if (part.required) line.append(requiredMark());
  return { node: line, read: () => (box.checked ? part.on : part.off), check: () => box.checked || box.focus() };
}

function textInput(part) {
  const control = make(part.multiline ? "textarea" : "input");
  if (part.multiline) control.rows = 3;
  else control.type = part.input;
  control.value = part.value ?? "";
  if (part.placeholder) control.placeholder = part.placeholder;
  for (const limit of ["min", "max"]) if (part[limit]) control[limit] = part[limit];
  if (part.max_length) control.maxLength = part.max_length;
  if (!part.label) control.setAttribute("aria-label", part.placeholder || part.id);
  const valid = () => (!part.required || Boolean(control.value.trim())) && control.checkValidity();
  const node = labelled(control, part.label, part.required);
  return { node, read: () => control.value, check: () => valid() || control.focus(), control };
}

// Return the input of a part of an adaptive card.
export function cardInput(part) {
  if (part.input === "choice") return part.multiple || part.expanded ? optionGroup(part) : dropDown(part);
  return part.input === "toggle" ? toggle(part) : textInput(part);
}

// Stars from 1 to 5, as radio buttons: arrow keys change the value.
export function stars(label) {
  const group = make("fieldset", "snb-stars");
  group.append(make("legend", "", label));
  const boxes = [1, 2, 3, 4, 5].map((number) => {
    const line = make("label");
    const box = make("input");
    box.type = "radio";
    box.name = `snb-stars-${inputCount}`;
    box.value = String(number);
    box.setAttribute("aria-label", `${number} of 5`);
    line.append(box, icon("star"));
    group.append(line);
    return box;
  });
  inputCount += 1;
  return { node: group, read: () => Number(boxes.find((box) => box.checked)?.value ?? 0) };
}

// Return the input of a verb's field: its node, and `read`, or `file` for a file.
export function fieldInput(field) {
  const label = words(field.name);
  if (field.stars) return stars(label);
  if (field.type === "bool") {
    const line = make("label", "snb-option");
    const box = make("input");
    box.type = "checkbox";
    box.checked = true;
    line.append(box, make("span", "", label));
    return { node: line, read: () => box.checked };
  }
  const control = make(field.long ? "textarea" : "input");
  if (field.long) control.rows = 2;
  else control.type = { int: "number", Path: "file" }[field.type] ?? "text";
  if (field.placeholder) control.placeholder = field.placeholder;
  const node = labelled(control, label, field.required);
  if (field.type === "Path") return { node, file: () => control.files[0] };
  return { node, read: () => (field.type === "int" ? Number(control.value) : control.value) };
}
