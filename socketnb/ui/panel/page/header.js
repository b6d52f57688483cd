// The header of a session: its name and state, and buttons.

import { button, duration, make, words } from "./dom.js";
import { menu } from "./menu.js";

export class Header {
  // `panel` is the node that is collapsed; `info` returns what the kernel sent about the session.
  constructor(panel, info, { restart, find, inspect, exportAs, startVerb }) {
    this.panel = panel;
    this.node = make("header", "snb-head");
    this.dot = make("span", "snb-dot");
    this.name = make("span", "snb-name");
    this.details = make("span", "snb-details");
    this.inspect = button("snb-tool", "Inspector", inspect, "inspector");
    this.inspect.setAttribute("aria-pressed", "false");
    this.restart = button("snb-tool", "Start over", restart, "again");
    const search = button("snb-tool", "Search", find, "search");
    const expand = () => this.collapse(false);
    const formats = () => info().exports.map(([format, title]) => [title, () => exportAs(format)]);
    const [exportButton, exportMenu] = menu("Export the conversation", "export", formats, expand);
    const verbs = () => info().verbs.map((verb) => [words(verb.verb), () => startVerb(verb), verb.help]);
    const [verbButton, verbMenu] = menu("More actions", "more", verbs, expand);
    this.fold = button("snb-tool", "Collapse", () => this.collapse(!this.isCollapsed), "fold");
    this.fold.setAttribute("aria-expanded", "true");
    const line = make("div", "snb-title-line");
    line.append(this.dot, this.name, this.details, make("span", "snb-gap"), search, exportButton, exportMenu);
    line.append(this.restart, verbButton, verbMenu, this.inspect, this.fold);
    this.node.append(line);
  }

  get isCollapsed() {
    return this.panel.classList.contains("snb-folded");
  }

  collapse(folded) {
    this.panel.classList.toggle("snb-folded", folded);
    this.fold.setAttribute("aria-expanded", String(!folded));
  }

  show({ name, platform, can_restart: canRestart }, state, firstMs) {
    this.name.textContent = name;
    const first = firstMs && `first reply ${duration(firstMs)}`;
    this.details.textContent = [platform, state, first].filter(Boolean).join(" · ");
    this.dot.dataset.state = this.dot.title = state;
    this.restart.hidden = !canRestart;
    this.restart.disabled = state === "closed";
  }
}
