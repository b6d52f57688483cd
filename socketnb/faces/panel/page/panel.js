// The panel in a page: a pane for each session; where there are several, one input that goes to all of them.

import { keepKeys, make } from "./dom.js";
import { Composer } from "./composer.js";
import { Pane } from "./pane.js";

function render({ model, el }) {
  const total = model.get("_sessions");
  const panes = Array.from({ length: total }, (_, of) => {
    return new Pane((message, buffers) => model.send({ ...message, of }, undefined, buffers), total === 1);
  });
  const hear = (message) => panes[message.of ?? 0]?.receive(message);
  const composers = panes.map((pane) => pane.composer);
  const cut = () => {
    panes.forEach((pane) => pane.cut());
    composers.forEach((composer) => composer.close());
  };
  model.on("msg:custom", hear);
  model.on("comm_live_update", cut);
  if (total === 1) el.replaceChildren(panes[0].node);
  else {
    const beside = make("section", "snb-beside");
    const grid = make("div", "snb-grid");
    grid.append(...panes.map((pane) => pane.node));
    const composer = new Composer({
      say: (text) => panes.forEach((pane) => pane.say(text)),
      stop: () => panes.forEach((pane) => pane.emit({ stop: true })),
    });
    composer.name("all of them", false);
    composers.push(composer);
    beside.append(grid, composer.node);
    el.replaceChildren(beside);
  }
  const freeKeys = keepKeys(el);
  return () => {
    freeKeys();
    model.off("msg:custom", hear);
    model.off("comm_live_update", cut);
    panes.forEach((pane) => pane.leave());
  };
}

export default { render };
