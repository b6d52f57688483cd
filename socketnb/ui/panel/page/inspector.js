// The inspector: the session's facts, a turn as a line, and its traces, each with its payload on demand.

import { duration, make, pretty } from "./dom.js";

// The wait for the first message, then a mark for each trace that came, messages in colour.
function timeline(traces) {
  const lane = make("div", "snb-lane");
  const came = traces.filter((trace) => trace.direction === "in" && trace.ms !== null);
  const end = Math.max(1, ...came.map((trace) => trace.ms));
  const first = came.find((trace) => trace.shown)?.ms;
  const at = (ms) => `${(100 * ms) / end}%`;
  if (first !== undefined) {
    const wait = make("span", "snb-wait");
    wait.style.width = at(first);
    lane.append(wait);
  }
  for (const trace of came) {
    const mark = make("span", trace.shown ? "snb-mark snb-shown" : "snb-mark");
    mark.style.insetInlineStart = `min(${at(trace.ms)}, calc(100% - 5px))`;
    mark.title = `${trace.kind}, ${duration(trace.ms)}`;
    lane.append(mark);
  }
  const scale = make("div", "snb-scale");
  scale.append(make("span", "", "0"), make("span", "", came.length ? duration(end) : ""));
  const both = make("div");
  both.append(lane, scale);
  both.setAttribute("role", "img");
  both.setAttribute("aria-label", came.length ? `${came.length} traces within ${duration(end)}` : "no traces yet");
  return both;
}

function traceNode(trace) {
  const row = make("details", "snb-trace");
  row.dataset.seq = String(trace.seq);
  const head = make("summary");
  const way = { in: "←", out: "→", local: "·" }[trace.direction];
  head.append(
    make("span", "snb-ms", trace.ms === null ? "" : String(Math.round(trace.ms))),
    make("span", `snb-way snb-${trace.direction}`, way),
    make("span", "snb-kind", trace.kind),
    make("span", "snb-what", trace.label || trace.event),
  );
  const payload = make("pre");
  row.addEventListener("toggle", () => (payload.textContent ||= pretty(trace.payload)));
  row.append(head, payload);
  return row;
}

export class Inspector {
  constructor(ask) {
    this.ask = ask;
    this.turn = 0; // the latest
    this.node = make("aside", "snb-insp");
    this.node.hidden = true;
    this.node.setAttribute("aria-label", "Inspector");
    this.node.tabIndex = 0;
  }

  open(wanted, turn = 0) {
    this.node.hidden = !wanted;
    this.turn = turn;
    if (wanted) this.refresh();
  }

  // It is asked for while it is open, and once more after what comes meanwhile.
  refresh() {
    if (this.node.hidden || this.due) return;
    this.due = setTimeout(() => {
      this.due = undefined;
      this.ask(this.turn, [this.shown ?? 0, this.traces?.at(-1)?.seq ?? -1]);
    }, 100);
  }

  // What is shown already stays, and keeps the focus.
  show({ turn, session, traces }) {
    if (turn !== this.shown) [this.list, this.traces] = [make("div"), []];
    this.shown = turn;
    const news = traces.filter((trace) => trace.seq > (this.traces.at(-1)?.seq ?? -1));
    this.traces.push(...news);
    this.list.append(...news.map(traceNode));
    const facts = make("dl", "snb-facts");
    for (const [name, value] of session) {
      const told = make("dd", "", value);
      told.title = value;
      facts.append(make("dt", "", name.replaceAll("_", " ")), told);
    }
    const head = make("h4", "", this.turn ? `Turn ${turn}` : "This turn");
    const above = make("div");
    above.append(make("h4", "", "Session"), facts, head, timeline(this.traces), make("h4", "", "Traces"));
    if (this.list.parentNode === this.node) this.node.firstChild.replaceWith(above);
    else this.node.replaceChildren(above, this.list);
  }

  leave() {
    clearTimeout(this.due);
  }
}
