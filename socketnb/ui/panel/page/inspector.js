// The inspector: facts about the session, a turn as a timeline, and its traces, each with its payload on demand.

import { duration, make, pretty, words } from "./dom.js";

const REFRESH_DELAY_MS = 100;

// The timeline: the wait for the first message, and a mark for each received trace. Messages are coloured.
function timeline(traces) {
  const lane = make("div", "snb-timeline");
  const received = traces.filter((trace) => trace.direction === "in" && trace.ms !== null);
  const end = Math.max(1, ...received.map((trace) => trace.ms));
  const first = received.find((trace) => trace.content)?.ms;
  const percent = (ms) => `${(100 * ms) / end}%`;
  if (first !== undefined) {
    const wait = make("span", "snb-wait");
    wait.style.width = percent(first);
    lane.append(wait);
  }
  for (const trace of received) {
    const mark = make("span", trace.content ? "snb-mark snb-content" : "snb-mark");
    mark.style.insetInlineStart = `min(${percent(trace.ms)}, calc(100% - 5px))`;
    mark.title = `${trace.kind}, ${duration(trace.ms)}`;
    lane.append(mark);
  }
  const scale = make("div", "snb-scale");
  scale.append(make("span", "", "0"), make("span", "", received.length ? duration(end) : ""));
  const node = make("div");
  node.append(lane, scale);
  node.setAttribute("role", "img");
  const summary = received.length ? `${received.length} traces in ${duration(end)}` : "no traces yet";
  node.setAttribute("aria-label", summary);
  return node;
}

function traceNode(trace) {
  const row = make("details", "snb-trace");
  row.dataset.seq = String(trace.seq);
  const summary = make("summary");
  const arrow = { in: "←", out: "→", local: "·" }[trace.direction];
  summary.append(
    make("span", "snb-ms", trace.ms === null ? "" : String(Math.round(trace.ms))),
    make("span", `snb-direction snb-${trace.direction}`, arrow),
    make("span", "snb-kind", trace.kind),
    make("span", "snb-trace-label", trace.label || trace.event),
  );
  const payload = make("pre");
  row.addEventListener("toggle", () => (payload.textContent ||= pretty(trace.payload)));
  row.append(summary, payload);
  return row;
}

export class Inspector {
  // `request(turn, known)` asks the kernel for a turn; `known` is the turn and the last seq that is shown.
  constructor(request) {
    this.request = request;
    this.turn = 0; // the latest
    this.node = make("aside", "snb-inspector");
    this.node.hidden = true;
    this.node.setAttribute("aria-label", "Inspector");
    this.node.tabIndex = 0;
  }

  setOpen(open, turn = 0) {
    this.node.hidden = !open;
    this.turn = turn;
    if (open) this.refresh();
  }

  // Request the turn again after a delay. Calls during the delay are combined into one request.
  refresh() {
    if (this.node.hidden || this.timer) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.request(this.turn, [this.shownTurn ?? 0, this.traces?.at(-1)?.seq ?? -1]);
    }, REFRESH_DELAY_MS);
  }

  // Visible traces stay in the page, so that they keep the focus.
  show({ turn, facts, traces }) {
    if (turn !== this.shownTurn) [this.list, this.traces] = [make("div"), []];
    this.shownTurn = turn;
    const added = traces.filter((trace) => trace.seq > (this.traces.at(-1)?.seq ?? -1));
    this.traces.push(...added);
    this.list.append(...added.map(traceNode));
    const table = make("dl", "snb-facts");
    for (const [name, value] of facts) {
      const cell = make("dd", "", value);
      cell.title = value;
      table.append(make("dt", "", words(name)), cell);
    }
    const heading = make("h4", "", this.turn ? `Turn ${turn}` : "Latest turn");
    const top = make("div");
    top.append(make("h4", "", "Session"), table, heading, timeline(this.traces), make("h4", "", "Traces"));
    if (this.list.parentNode === this.node) this.node.firstChild.replaceWith(top);
    else this.node.replaceChildren(top, this.list);
  }

  dispose() {
    clearTimeout(this.timer);
  }
}
