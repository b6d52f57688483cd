// One row of the conversation as one node: a bubble, cards, a form, a notice, and what ended a turn.

import { STILL, button, clock, duration, make } from "./dom.js";
import { adaptive, date, stars } from "./forms.js";

const WHO = { user: "You", bot: "Bot", agent: "Agent", system: "System" };

function bubble(sender) {
  const line = make("div", `snb-row snb-${sender}`);
  const words = make("div", "snb-bubble");
  words.dir = "auto";
  if (sender !== "user") {
    const face = make("span", "snb-face", sender === "agent" ? "A" : "B");
    face.setAttribute("aria-hidden", "true");
    line.append(face);
  }
  line.append(words);
  return [line, words];
}

// A button of a message. `press` is told its number; all of a message's buttons carry the message's.
function choice(row, option, className, press) {
  const chip = button(className, row.choices[option], () => press(option, chip));
  chip.dir = "auto";
  chip.dataset.option = String(option);
  return chip;
}

// Cards stand beside each other, to be scrolled with the arrow keys or a finger, or below each other.
function cards(row, press) {
  const all = make("div", `snb-cards snb-${row.layout}`);
  for (const { html, options } of row.cards) {
    const card = make("div", "snb-card");
    const body = make("div", "snb-body");
    body.dir = "auto";
    body.innerHTML = html; // sanitised in the kernel
    card.append(body, ...options.map((option) => choice(row, option, "snb-choice", press)));
    all.append(card);
  }
  if (row.layout === "carousel") carousel(all);
  return all;
}

function carousel(all) {
  all.tabIndex = 0;
  all.setAttribute("role", "group");
  all.setAttribute("aria-label", `${all.children.length} cards, arrow keys scroll`);
  const left = (n) => all.children[n].offsetLeft - all.children[0].offsetLeft;
  let at = 0; // the card that is first in sight, or will be when the scrolling is over
  all.addEventListener("scrollend", () => {
    at = [...all.children].findLastIndex((_, n) => left(n) <= all.scrollLeft + 20);
  });
  all.addEventListener("keydown", (event) => {
    const way = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!way) return;
    event.preventDefault();
    event.stopPropagation();
    at = Math.min(Math.max(at + way, 0), all.children.length - 1);
    all.scrollTo({ left: left(at), behavior: STILL.matches ? "auto" : "smooth" });
  });
}

function formOf(row, acts) {
  if (row.form.adaptive) {
    const card = adaptive(row.form.adaptive);
    const submits = make("div", "snb-actions");
    for (const [option] of (row.choices ?? []).entries()) {
      submits.append(
        choice(row, option, "snb-chip", (which, chip) => {
          const values = card.values();
          if (values) acts.submit(row, which, values, chip);
        }),
      );
    }
    card.form.append(card.problem, submits);
    return card.form;
  }
  if (row.form.date) return date(row.form.date, (values) => acts.date(row, values));
  const rating = make("form", "snb-form");
  const { group, value } = stars("How was it?");
  const comment = make("input");
  comment.placeholder = "A comment, if you like";
  comment.setAttribute("aria-label", "Comment");
  const problem = make("div", "snb-problem");
  problem.setAttribute("role", "alert");
  const line = make("div", "snb-actions");
  line.append(make("button", "snb-chip snb-main-chip", "Rate"));
  rating.append(group, comment, problem, line);
  rating.addEventListener("submit", (event) => {
    event.preventDefault();
    problem.textContent = value() ? "" : "Choose from one to five stars";
    if (value()) acts.rate(row, value(), comment.value);
  });
  return rating;
}

function content(row, acts) {
  const nodes = [];
  if (row.html !== undefined || row.stream !== undefined) {
    const [line, words] = bubble(row.sender);
    if (row.html !== undefined) words.innerHTML = row.html; // sanitised in the kernel
    else {
      words.classList.add("snb-streaming");
      line.setAttribute("aria-busy", "true"); // it is read when it is whole
    }
    if (row.delta && row.html === undefined) words.append(row.delta);
    nodes.push(line);
  }
  if (row.cards) nodes.push(cards(row, (option, chip) => acts.press(row, option, chip)));
  if (row.form) {
    const framed = make("div", "snb-framed");
    framed.append(formOf(row, acts));
    nodes.push(framed);
  } else {
    const inCards = new Set((row.cards ?? []).flatMap((card) => card.options));
    const below = (row.choices ?? []).map((_, option) => option).filter((option) => !inCards.has(option));
    const chips = make("div", "snb-chips");
    chips.append(...below.map((option) => choice(row, option, "snb-chip", (n, chip) => acts.press(row, n, chip))));
    if (below.length) nodes.push(chips);
  }
  return nodes;
}

// Return a row as a node, or nothing if there is nothing to see of it.
export function item(row, acts) {
  const node = make("div", "snb-item");
  node.dataset.seq = String(row.stream ?? row.seq);
  node.dataset.turn = String(row.turn);
  if (row.text !== undefined) {
    const [line, words] = bubble("user");
    words.textContent = row.text;
    node.classList.add("snb-begin");
    node.append(line);
  } else {
    node.append(...content(row, acts));
  }
  if (row.notice !== undefined) {
    const notice = make("div", "snb-notice", row.notice);
    notice.dir = "auto";
    notice.dataset.kind = row.kind;
    node.append(notice);
  }
  if (node.querySelector(".snb-row, .snb-cards, .snb-framed, .snb-chips")) {
    node.setAttribute("role", "article");
    node.setAttribute("aria-label", `${WHO[row.sender] ?? row.sender}, ${clock(row.at)}`);
    node.tabIndex = -1;
    node.dataset.verb = row.verb ?? "";
    node.dataset.sender = row.sender;
  }
  if (row.done) {
    const first = row.first === undefined ? "" : ` · first ${duration(row.first)}`;
    const words = `${clock(row.at)}${first} · done ${duration(row.done)}`;
    const under = button("snb-under", words, () => acts.inspect(row.turn));
    under.title = "Inspect this turn";
    node.append(under);
  }
  if (row.choices && !row.form) node.classList.add("snb-offer"); // until something is said
  if (row.talk) node.dataset.talk = row.talk;
  if (row.spent) spend(node);
  return node.childElementCount ? node : undefined;
}

// The buttons of a message can be pressed no more; one of them was, by its words or its number.
export function spend(node, words, option) {
  const chips = [...node.querySelectorAll("[data-option]")];
  const pressed = chips.find((chip) => (option === undefined ? chip.textContent === words : chip.dataset.option === option));
  const used = node.querySelector(".snb-used");
  for (const chip of chips) {
    chip.disabled = true;
    chip.classList.remove("snb-late");
    if (pressed && (option !== undefined || !used)) chip.classList.toggle("snb-used", chip === pressed);
  }
  for (const form of node.querySelectorAll(".snb-framed")) form.inert = true;
}

// What was typed and is not seen yet stands pale below the rest.
export function pending(text) {
  const node = make("div", "snb-item snb-waiting");
  const [line, words] = bubble("user");
  words.textContent = text;
  node.append(line);
  return node;
}

export function dots() {
  const node = make("div", "snb-item snb-typing");
  const [line, words] = bubble("bot");
  words.setAttribute("role", "status");
  words.setAttribute("aria-label", "typing");
  words.append(make("i"), make("i"), make("i"));
  node.append(line);
  const face = line.querySelector(".snb-face");
  return {
    node,
    of(sender) {
      line.className = `snb-row snb-${sender}`;
      face.textContent = sender === "agent" ? "A" : "B";
    },
  };
}
