// The menus of a panel's header.

import { button, make } from "./dom.js";

// Return a button and the menu below it. Arrow keys move in the menu, Escape closes it. `entries` returns the entries,
// each with a label, an action and an optional help text. `onOpen` is called before the menu opens.
export function menu(label, iconName, entries, onOpen) {
  const list = make("div", "snb-menu");
  list.setAttribute("role", "menu");
  list.hidden = true;
  const setOpen = (open) => {
    if (open) onOpen();
    list.hidden = !open;
    opener.setAttribute("aria-expanded", String(open));
    if (!open) return;
    list.replaceChildren(
      ...entries().map(([text, action, help]) => {
        const entry = button("snb-entry", text, () => {
          setOpen(false);
          opener.focus();
          action();
        });
        entry.setAttribute("role", "menuitem");
        if (help) entry.append(make("small", "", help));
        return entry;
      }),
    );
    list.firstChild?.focus();
  };
  const opener = button("snb-tool", label, () => setOpen(list.hidden), iconName);
  opener.setAttribute("aria-haspopup", "menu");
  opener.setAttribute("aria-expanded", "false");
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") {
      setOpen(false);
      opener.focus();
    } else if (step) {
      event.preventDefault();
      const all = [...list.children];
      all[(all.indexOf(document.activeElement) + step + all.length) % all.length].focus();
    }
  });
  list.addEventListener("focusout", (event) => {
    if (!list.contains(event.relatedTarget) && event.relatedTarget !== opener) setOpen(false);
  });
  return [opener, list];
}
