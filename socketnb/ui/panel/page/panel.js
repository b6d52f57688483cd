// The panel: a view for each session. Several sessions share one input line, which sends to all of them.

import { keepKeys, make } from "./dom.js";
import { Composer } from "./composer.js";
import { SessionView } from "./session_view.js";

function render({ model, el }) {
  const views = [];
  const total = model.get("_sessions");
  const composer = new Composer({
    say: (text) => views.forEach((view) => view.say(text)),
    stop: () => views.forEach((view) => view.emit({ type: "stop" })),
  });
  const onChange = () => {
    const open = views.filter((view) => !view.dead && !view.closed);
    const name = total === 1 ? views[0]?.info.name : "all of them";
    if (name) composer.setName(name, !open.length);
    composer.stop.hidden = !views.some((view) => view.activity.isWaiting);
  };
  for (let session = 0; session < total; session++) {
    const send = (message, buffers) => model.send({ ...message, session }, undefined, buffers);
    views.push(new SessionView(send, composer, onChange));
  }
  if (total === 1) {
    views[0].footer.append(composer.node);
    el.replaceChildren(views[0].node);
  } else {
    const sideBySide = make("section", "snb-side-by-side");
    sideBySide.setAttribute("aria-label", "Chats side by side");
    const grid = make("div", "snb-grid");
    grid.append(...views.map((view) => view.node));
    sideBySide.append(grid, composer.node);
    el.replaceChildren(sideBySide);
  }
  const receive = (message) => views[message.session]?.receive(message);
  const disconnect = () => views.forEach((view) => view.disconnect());
  const freeKeys = keepKeys(el);
  model.on("msg:custom", receive);
  model.on("comm_live_update", disconnect);
  return () => {
    freeKeys();
    model.off("msg:custom", receive);
    model.off("comm_live_update", disconnect);
    views.forEach((view) => view.dispose());
  };
}

export default { render };
