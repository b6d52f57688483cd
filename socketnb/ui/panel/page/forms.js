// Forms: adaptive cards, date pickers, ratings, and the platform's verbs. What they are comes from forms.py.

import { button, icon, make } from "./dom.js";

let ids = 0;

// A label above its control; screen readers hear both as one.
function labelled(control, words, required) {
  const line = make("div", "snb-field");
  control.id = `snb-${++ids}`;
  if (words) {
    const label = make("label", "", words);
    label.htmlFor = control.id;
    if (required) label.append(make("span", "snb-must", " *"));
    line.append(label);
  }
  if (required) control.required = true;
  line.append(control);
  return line;
}

function options(part) {
  const group = make("fieldset", "snb-field");
  if (part.label) group.append(make("legend", "", part.label));
  if (part.label && part.required) group.firstChild.append(make("span", "snb-must", " *"));
  const chosen = (part.value ?? "").split(",");
  const boxes = part.options.map(([title, value]) => {
    const line = make("label", "snb-option");
    const box = make("input");
    box.type = part.several ? "checkbox" : "radio";
    box.name = `snb-group-${ids}`;
    box.value = value;
    box.checked = chosen.includes(value);
    line.append(box, make("span", "", title));
    group.append(line);
    return box;
  });
  ids += 1;
  const read = () => boxes.filter((box) => box.checked).map((box) => box.value).join(",");
  return [group, read, () => Boolean(read()) || boxes[0]?.focus()];
}

function select(part) {
  const list = make("select");
  list.append(make("option", "", part.placeholder || "…"));
  list.firstChild.value = "";
  for (const [title, value] of part.options) {
    const option = make("option", "", title);
    option.value = value;
    list.append(option);
  }
  list.value = part.value ?? "";
  return [labelled(list, part.label, part.required), () => list.value, () => Boolean(list.value) || list.focus()];
}

// An input of an adaptive card: its node, what reads its value, and what tells whether it is filled in.
function input(part) {
  if (part.input === "choice") return part.several || part.unfolded ? options(part) : select(part);
  if (part.input === "toggle") {
    const line = make("label", "snb-option");
    const box = make("input");
    box.type = "checkbox";
    box.checked = part.value === part.on;
    line.append(box, make("span", "", part.label));
    if (part.required) line.append(make("span", "snb-must", "*"));
    return [line, () => (box.checked ? part.on : part.off), () => box.checked || box.focus()];
  }
  const control = make(part.lines ? "textarea" : "input");
  if (part.lines) control.rows = 3;
  else control.type = part.input;
  control.value = part.value ?? "";
  if (part.placeholder) control.placeholder = part.placeholder;
  for (const limit of ["min", "max"]) if (part[limit]) control[limit] = part[limit];
  if (part.longest) control.maxLength = part.longest;
  if (!part.label) control.setAttribute("aria-label", part.placeholder || part.id);
  const full = () => (!part.required || Boolean(control.value.trim())) && control.checkValidity();
  return [labelled(control, part.label, part.required), () => control.value, () => full() || control.focus(), control];
}

function body(parts, inputs) {
  const nodes = [];
  for (const part of parts) {
    if (part.html !== undefined) {
      const words = make("div", "snb-body");
      words.dir = "auto";
      words.innerHTML = part.html; // sanitised in the kernel
      nodes.push(words);
    } else if (part.columns) {
      const beside = make("div", "snb-columns");
      for (const column of part.columns) {
        const cell = make("div");
        cell.append(...body(column, inputs));
        beside.append(cell);
      }
      nodes.push(beside);
    } else if (part.more !== undefined) {
      const folded = make("details");
      folded.append(make("summary", "", part.more), ...body(part.parts, inputs));
      nodes.push(folded);
    } else {
      const [node, read, full, control] = input(part);
      inputs.push({ part, read, full, control });
      nodes.push(node);
    }
  }
  return nodes;
}

// An adaptive card. Its buttons come from outside, and are told the values, or nothing while something is missing.
export function adaptive(parts) {
  const form = make("div", "snb-form");
  const inputs = [];
  form.append(...body(parts, inputs));
  const problem = make("div", "snb-problem");
  problem.setAttribute("role", "alert");
  const values = () => {
    const wrong = inputs.find(({ part, full, control }) => (part.required || control) && full() !== true);
    for (const { control } of inputs) control?.setAttribute("aria-invalid", String(control === wrong?.control));
    const name = wrong?.part.label || wrong?.part.placeholder || wrong?.part.id;
    const why = wrong?.control?.value ? `${name}: ${wrong.control.validationMessage}` : `${name} is needed`;
    problem.textContent = wrong ? wrong.part.error || why : "";
    if (wrong) return undefined;
    return Object.fromEntries(inputs.filter(({ part }) => part.id).map(({ part, read }) => [part.id, read()]));
  };
  return { form, values, problem };
}

// A date picker: one day, a range of two, or as many as are added.
export function date(about, submit) {
  const form = make("form", "snb-form snb-date");
  if (about.label) form.append(make("div", "snb-body snb-bolder", about.label));
  const days = make("div", "snb-columns");
  const control = (words) => {
    const picker = make("input");
    picker.type = about.kind;
    if (about.min) picker.min = about.min;
    if (about.max) picker.max = about.max;
    picker.value = about.value;
    picker.setAttribute("aria-label", words);
    const line = labelled(picker, about.mode === "range" ? words : "", about.mode !== "multiple");
    days.append(line);
    return picker;
  };
  const pickers = about.mode === "range" ? [control("From"), control("To")] : [control(about.label || "Date")];
  if (about.mode === "range") pickers[0].addEventListener("change", () => (pickers[1].min = pickers[0].value || about.min));
  const row = make("div", "snb-actions");
  if (about.mode === "multiple") {
    row.append(button("snb-chip", "Another day", () => pickers.push(control("Another day"))));
  }
  const send = make("button", "snb-chip snb-main-chip", about.submit);
  row.append(send);
  form.append(days, row);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(pickers.map((picker) => picker.value));
  });
  return form;
}

// Stars from 1 to 5, as radio buttons: arrow keys choose.
export function stars(name) {
  const group = make("fieldset", "snb-stars");
  group.append(make("legend", "", name));
  const boxes = [1, 2, 3, 4, 5].map((number) => {
    const line = make("label");
    const box = make("input");
    box.type = "radio";
    box.name = `snb-stars-${ids}`;
    box.value = String(number);
    box.setAttribute("aria-label", `${number} of 5`);
    line.append(box, icon("star"));
    group.append(line);
    return box;
  });
  ids += 1;
  return { group, value: () => Number(boxes.find((box) => box.checked)?.value ?? 0) };
}

const MOST = 8_000_000; // bytes of a file: what a notebook server lets through at once

function field(about) {
  const words = about.name.replaceAll("_", " ");
  if (about.type === "int" && about.name === "rating") {
    const { group, value } = stars(words);
    return { node: group, read: value };
  }
  if (about.type === "bool") {
    const line = make("label", "snb-option");
    const box = make("input");
    box.type = "checkbox";
    box.checked = true;
    line.append(box, make("span", "", words));
    return { node: line, read: () => box.checked };
  }
  const long = ["dict", "list", "object"].includes(about.type) || ["review", "comment"].includes(about.name);
  const control = make(long ? "textarea" : "input");
  if (long) control.rows = 2;
  else control.type = { int: "number", Path: "file" }[about.type] ?? "text";
  if (about.placeholder) control.placeholder = about.placeholder;
  const node = labelled(control, words, about.required);
  if (about.type === "Path") return { node, file: () => control.files[0] };
  return { node, read: () => (about.type === "int" ? Number(control.value) : control.value) };
}

// What a verb needs, to be filled in; `act` gets its fields and files.
export function verb(about, act, cancel) {
  const form = make("form", "snb-form snb-verb");
  form.setAttribute("aria-label", about.help);
  form.append(make("div", "snb-body", about.help));
  const fields = about.fields.map((each) => ({ about: each, ...field(each) }));
  const problem = make("div", "snb-problem");
  problem.setAttribute("role", "alert");
  const row = make("div", "snb-actions");
  const send = make("button", "snb-chip snb-main-chip", about.verb.replaceAll("_", " "));
  row.append(send, button("snb-chip", "Cancel", cancel));
  form.append(...fields.map(({ node }) => node), problem, row);
  const tell = (words) => {
    problem.textContent = words;
    send.disabled = false;
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    send.disabled = true; // once is enough
    problem.textContent = "";
    const values = {};
    const buffers = [];
    for (const { about: each, read, file } of fields) {
      if (read) {
        const value = read();
        if (value !== "" && value !== 0) values[each.name] = value;
        else if (each.required) return tell(`${each.name.replaceAll("_", " ")} is needed`);
      } else if (file()) {
        if (file().size > MOST) return tell("A file of at most 8 MB, please: send larger ones from Python");
        values[each.name] = file().name;
        buffers.push(await file().arrayBuffer());
      }
    }
    act(values, buffers);
  });
  form.addEventListener("keydown", (event) => event.key === "Escape" && cancel());
  return { node: form, tell };
}
