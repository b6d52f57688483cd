// Helpers for DOM nodes, icons, keys and times, used by all other modules of the page.

export function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
}

// Paths of the icons, in a box of 16 by 16.
const ICON_PATHS = {
  search: "M11 11 14 14M7.2 12.2a5 5 0 1 1 0-10 5 5 0 0 1 0 10z",
  export: "M8 2v8M4.8 7 8 10.2 11.2 7M3 13.2h10",
  again: "M3.2 8a4.8 4.8 0 1 0 1.6-3.6M3 2.2v3h3",
  inspector: "M2.5 3h11v10h-11zM9.8 3v10",
  more: "M3.4 8h.01M8 8h.01M12.6 8h.01",
  fold: "M4 10l4-4 4 4",
  copy: "M5.5 5.5h7.8v7.8H5.5zM10.4 5.5V2.7H2.7v7.8h2.8",
  edit: "M3 13l.7-3L10.6 3.100l2.300 2.300L6 12.300zM9.400 4.300l2.300 2.300",
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
  path.setAttribute("d", ICON_PATHS[name]);
  svg.append(path);
  return svg;
}

// Return a button. If it has an icon, the label becomes its tooltip and its name for screen readers.
export function button(className, label, onClick, iconName) {
  const node = make("button", className, iconName ? "" : label);
  node.type = "button";
  if (iconName) {
    node.append(icon(iconName));
    node.title = label;
    node.setAttribute("aria-label", label);
  }
  node.addEventListener("click", onClick);
  return node;
}

// Return a line for error messages, which screen readers announce.
export function errorLine() {
  const node = make("div", "snb-error");
  node.setAttribute("role", "alert");
  return node;
}

export const isFindShortcut = (event) =>
  (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "f";

// Keep the notebook from handling plain keys as shortcuts. JupyterLab handles keys first, but ignores nodes with
// this attribute. Return a function that removes it.
export function keepKeys(container) {
  const onKeydown = (event) => {
    const path = event.composedPath();
    if (!path.includes(container)) return;
    const plain = !(event.ctrlKey || event.metaKey);
    path[0].toggleAttribute("data-lm-suppress-shortcuts", isFindShortcut(event) || plain);
  };
  window.addEventListener("keydown", onKeydown, true);
  return () => window.removeEventListener("keydown", onKeydown, true);
}

export const REDUCED_MOTION = window.matchMedia("(prefers-reduced-motion: reduce)");
export const clock = (time) => new Date(time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
export const duration = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);
export const words = (name) => name.replaceAll("_", " ");

// Call a function before the next frame. A hidden page has no frames, so a timer is used there.
export const beforeFrame = (callback) => (document.hidden ? setTimeout(callback) : requestAnimationFrame(callback));

export function pretty(payload) {
  try {
    return JSON.stringify(JSON.parse(payload), null, 1);
  } catch {
    return payload; // a long payload was cut and is no longer valid JSON
  }
}
