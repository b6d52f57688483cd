// Nodes, pictures and times: what every other module of the page uses.

export function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
}

const STROKES = {
  search: "M11 11 14 14M7.2 12.2a5 5 0 1 1 0-10 5 5 0 0 1 0 10z",
  export: "M8 2v8M4.8 7 8 10.2 11.2 7M3 13.2h10",
  again: "M3.2 8a4.8 4.8 0 1 0 1.6-3.6M3 2.2v3h3",
  inspector: "M2.5 3h11v10h-11zM9.8 3v10",
  more: "M3.4 8h.01M8 8h.01M12.6 8h.01",
  fold: "M4 10l4-4 4 4",
  copy: "M5.5 5.5h7.8v7.8H5.5zM10.4 5.5V2.7H2.7v7.8h2.8",
  edit: "M3 13l.7-3L10.6 3.100l2.300 2.300L6 12.300zM9.400 4.300l2.300 2.300",
  send: "M3 13 13.500 8 3 3l1.600 5zM4.600 8h4",
  down: "M8 3v9.500M4 8.800 8 12.800 12 8.800",
  close: "M4 4l8 8M12 4l-8 8",
  up: "M4 10l4-4 4 4",
  next: "M4 6l4 4 4-4",
  star: "M8 1.800l1.900 4 4.300.600-3.100 3 .800 4.300L8 11.600l-3.900 2.100.800-4.300-3.100-3 4.300-.600z",
};

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", `snb-icon snb-icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", STROKES[name]);
  svg.append(path);
  return svg;
}

// A button that does something; with an icon, its label is what screen readers and tooltips say.
export function button(className, label, act, picture) {
  const node = make("button", className, picture ? "" : label);
  node.type = "button";
  if (picture) {
    node.append(icon(picture));
    node.title = label;
    node.setAttribute("aria-label", label);
  }
  node.addEventListener("click", act);
  return node;
}

export const isFind = (event) =>
  (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "f";

// Plain keys are shortcuts of the notebook, which hears them first: by this attribute it lets them pass. Returns what
// ends that.
export function keepKeys(within) {
  const hear = (event) => {
    const path = event.composedPath();
    if (!path.includes(within)) return;
    path[0].toggleAttribute("data-lm-suppress-shortcuts", isFind(event) || !(event.ctrlKey || event.metaKey));
  };
  window.addEventListener("keydown", hear, true);
  return () => window.removeEventListener("keydown", hear, true);
}

export const STILL = window.matchMedia("(prefers-reduced-motion: reduce)");
export const clock = (at) => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
export const duration = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

// Once before the next frame; a page that nobody sees has no frames.
export const soon = (act) => (document.hidden ? setTimeout(act) : requestAnimationFrame(act));

export function pretty(payload) {
  try {
    return JSON.stringify(JSON.parse(payload), null, 1);
  } catch {
    return payload; // cut, since it is long
  }
}
