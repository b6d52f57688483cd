// The panel in a page: a pane for each session; where there are several, one input that goes to all of them.

import { keepKeys, make } from "./dom.js";
import { Composer } from "./composer.js";
import { Pane } from "./pane.js";

function render({ model, el }) {
  const panes = [];
  const total = model.get("_sessions");
  const composer = new Composer({
    say: (text) => panes.forEach((pane) => pane.say(text)),
    stop: () => panes.forEach((pane) => pane.emit({ stop: true })),
  });
  const changed = () => {
    const open = panes.filter((pane) => !pane.dead && pane.facts.state !== "closed");
    const name = total === 1 ? panes[0]?.about.name : "all of them";
    if (name) composer.name(name, !open.length);
    composer.stop.hidden = !panes.some((pane) => pane.waits);
  };
  for (let of = 0; of < total; of++) {
    const send = (message, buffers) => model.send({ ...message, of }, undefined, buffers);
    panes.push(new Pane(send, composer, changed));
  }
  if (total === 1) {
    panes[0].below.append(composer.node);
    el.replaceChildren(panes[0].node);
  } else {
    const beside = make("section", "snb-beside");
    beside.setAttribute("aria-label", "Chats side by side");
    const grid = make("div", "snb-grid");
    grid.append(...panes.map((pane) => pane.node));
    beside.append(grid, composer.node);
    el.replaceChildren(beside);
  }
  const hear = (message) => panes[message.of ?? 0]?.receive(message);
  const cut = () => panes.forEach((pane) => pane.cut());
  const freeKeys = keepKeys(el);
  model.on("msg:custom", hear);
  model.on("comm_live_update", cut);
  return () => {
    freeKeys();
    model.off("msg:custom", hear);
    model.off("comm_live_update", cut);
    panes.forEach((pane) => pane.leave());
  };
}

export default { render };
