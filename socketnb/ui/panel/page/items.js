// One row of the conversation as one node: a bubble, cards, a form, a notice, and the timing of a turn.

import { REDUCED_MOTION, button, clock, duration, make } from "./dom.js";
import { adaptiveCard, datePicker, rating } from "./forms.js";

const SENDERS = { user: "You", bot: "Bot", agent: "Agent", system: "System" };
const initial = (sender) => (sender === "agent" ? "A" : "B");

function bubble(sender) {
  const line = make("div", `snb-row snb-${sender}`);
  const body = make("div", "snb-bubble");
  body.dir = "auto";
  if (sender !== "user") {
    const avatar = make("span", "snb-avatar", initial(sender));
    avatar.setAttribute("aria-hidden", "true");
    line.append(avatar);
  }
  line.append(body);
  return [line, body];
}

// Return a button of a message. `press` receives the number and the node of the button.
function choiceButton(row, option, className, press) {
  const chip = button(className, row.choices[option], () => press(option, chip));
  chip.dir = "auto";
  chip.dataset.option = String(option);
  return chip;
}

function cardList(row, press) {
  const list = make("div", `snb-cards snb-${row.layout}`);
  for (const { html, options } of row.cards) {
    const card = make("div", "snb-card");
    const body = make("div", "snb-body");
    body.dir = "auto";
    body.innerHTML = html; // sanitised in the kernel
    card.append(body, ...options.map((option) => choiceButton(row, option, "snb-choice", press)));
    list.append(card);
  }
  if (row.layout === "carousel") makeCarousel(list);
  return list;
}

// Let the arrow keys scroll cards that are side by side.
function makeCarousel(list) {
  list.tabIndex = 0;
  list.setAttribute("role", "group");
  list.setAttribute("aria-label", `${list.children.length} cards, arrow keys scroll`);
  const left = (n) => list.children[n].offsetLeft - list.children[0].offsetLeft;
  let current = 0; // the first visible card, or the one that is being scrolled to
  list.addEventListener("scrollend", () => {
    current = [...list.children].findLastIndex((_, n) => left(n) <= list.scrollLeft + 20);
  });
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    current = Math.min(Math.max(current + step, 0), list.children.length - 1);
    list.scrollTo({ left: left(current), behavior: REDUCED_MOTION.matches ? "auto" : "smooth" });
  });
}

function formNode(row, actions) {
  if (row.form.date) return datePicker(row.form.date, (values) => actions.date(row, values));
  if (row.form.rating) return rating((fields) => actions.rate(row, row.form.rating, fields));
  const card = adaptiveCard(row.form.card);
  const submits = make("div", "snb-actions");
  for (const [option] of (row.choices ?? []).entries()) {
    submits.append(
      choiceButton(row, option, "snb-chip", (number, chip) => {
        const values = card.values();
        if (values) actions.submit(row, number, values, chip);
      }),
    );
  }
  card.form.append(card.error, submits);
  return card.form;
}

function dataNode(data) {
  const details = make("details", "snb-data");
  details.append(make("summary", "", "data"), make("pre", "", data));
  return details;
}

// Return the line below a message that no turn waited for.
function unsolicitedLine(row) {
  const late = row.turn ? `late message of turn ${row.turn}` : "unsolicited";
  return make("div", "snb-unsolicited", `${clock(row.time)} · ${late}`);
}

function contentNodes(row, actions) {
  const nodes = [];
  if (row.html !== undefined || row.stream !== undefined) {
    const [line, body] = bubble(row.sender);
    if (row.html !== undefined) body.innerHTML = row.html; // sanitised in the kernel
    else {
      body.classList.add("snb-streaming");
      line.setAttribute("aria-busy", "true"); // screen readers read it when it is complete
    }
    if (row.delta && row.html === undefined) body.append(row.delta);
    nodes.push(line);
  }
  if (row.data !== undefined) nodes.push(dataNode(row.data));
  const press = (option, chip) => actions.press(row, option, chip);
  if (row.cards) nodes.push(cardList(row, press));
  if (row.form) {
    const frame = make("div", "snb-framed");
    frame.append(formNode(row, actions));
    nodes.push(frame);
  } else {
    const inCards = new Set((row.cards ?? []).flatMap((card) => card.options));
    const below = (row.choices ?? []).map((_, option) => option).filter((option) => !inCards.has(option));
    const chips = make("div", "snb-chips");
    chips.append(...below.map((option) => choiceButton(row, option, "snb-chip", press)));
    if (below.length) nodes.push(chips);
  }
  return nodes;
}

// Return a row as a node, or undefined if the row has no visible content.
export function makeItem(row, actions) {
  const node = make("div", "snb-item");
  node.dataset.seq = String(row.stream ?? row.seq);
  node.dataset.turn = String(row.turn);
  if (row.text !== undefined) {
    const [line, body] = bubble("user");
    body.textContent = row.text;
    node.classList.add("snb-turn-start");
    node.append(line);
    if (row.queued !== undefined) markUnsent(node, row.queued);
  } else {
    node.append(...contentNodes(row, actions));
    if (row.unsolicited && node.childElementCount) node.append(unsolicitedLine(row));
  }
  if (row.notice !== undefined) {
    const notice = make("div", "snb-notice", row.notice);
    notice.dir = "auto";
    notice.dataset.kind = row.kind;
    node.append(notice);
  }
  if (node.querySelector(".snb-row, .snb-cards, .snb-framed, .snb-chips")) {
    node.setAttribute("role", "article");
    node.setAttribute("aria-label", `${SENDERS[row.sender] ?? row.sender}, ${clock(row.time)}`);
    node.tabIndex = -1;
    node.dataset.verb = row.verb ?? "";
    node.dataset.sender = row.sender;
  }
  if (row.done_ms) {
    const first = row.first_ms === undefined ? "" : ` · first ${duration(row.first_ms)}`;
    const text = `${clock(row.time)}${first} · done ${duration(row.done_ms)}`;
    const timing = button("snb-timing", text, () => actions.inspect(row.turn));
    timing.title = "Inspect this turn";
    node.append(timing);
  }
  if (row.choices && !row.form) node.classList.add("snb-open-choices"); // until the user does something
  if (row.conversation) node.dataset.conversation = row.conversation;
  if (row.expired) disableChoices(node);
  return node.childElementCount ? node : undefined;
}

// Disable the buttons of a message, and mark the pressed one, which is identified by its number or label.
export function disableChoices(node, label, option) {
  const chips = [...node.querySelectorAll("[data-option]")];
  const isPressed = (chip) => (option === undefined ? chip.textContent === label : chip.dataset.option === option);
  const pressed = chips.find(isPressed);
  const marked = node.querySelector(".snb-pressed");
  for (const chip of chips) {
    chip.disabled = true;
    chip.classList.remove("snb-delayed");
    if (pressed && (option !== undefined || !marked)) chip.classList.toggle("snb-pressed", chip === pressed);
  }
  for (const form of node.querySelectorAll(".snb-framed")) form.inert = true;
}

export function enableChoices(node) {
  const isForm = node.querySelector(".snb-framed");
  if (!isForm) node.classList.add("snb-open-choices");
  for (const chip of node.querySelectorAll("[data-option]")) {
    chip.disabled = false;
    chip.classList.remove("snb-pressed", "snb-delayed");
  }
  for (const form of node.querySelectorAll(".snb-framed")) form.inert = false;
}

// Show why an action is not sent yet, or, without a reason, that it was never sent.
export function markUnsent(node, reason) {
  node.classList.toggle("snb-pending", Boolean(reason));
  node.classList.toggle("snb-unsent", !reason);
  const state = node.querySelector(".snb-state") ?? make("div", "snb-state");
  state.textContent = reason || "not sent";
  node.append(state);
}

// Return a node for a sent text that is not recorded yet. It is shown in a pale colour below the rows.
export function pendingItem(text) {
  const node = make("div", "snb-item snb-pending");
  const [line, body] = bubble("user");
  body.textContent = text;
  node.append(line);
  return node;
}

export function typingIndicator() {
  const node = make("div", "snb-item snb-typing");
  const [line, body] = bubble("bot");
  body.setAttribute("role", "status");
  body.setAttribute("aria-label", "typing");
  body.append(make("i"), make("i"), make("i"));
  node.append(line);
  const avatar = line.querySelector(".snb-avatar");
  return {
    node,
    setSender(sender) {
      line.className = `snb-row snb-${sender}`;
      avatar.textContent = initial(sender);
    },
  };
}
