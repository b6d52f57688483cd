// The menus of a panel's header.

import { button, make } from "./dom.js";

// A button with a menu below it; arrow keys choose, Escape leaves. `opens` is told before it opens.
export function menu(label, picture, entries, opens) {
  const list = make("div", "snb-menu");
  list.setAttribute("role", "menu");
  list.hidden = true;
  const open = (wanted) => {
    if (wanted) opens();
    list.hidden = !wanted;
    opener.setAttribute("aria-expanded", String(wanted));
    if (!wanted) return;
    list.replaceChildren(
      ...entries().map(([words, act, help]) => {
        const entry = button("snb-entry", words, () => {
          open(false);
          opener.focus();
          act();
        });
        entry.setAttribute("role", "menuitem");
        if (help) entry.append(make("small", "", help));
        return entry;
      }),
    );
    list.firstChild?.focus();
  };
  const opener = button("snb-tool", label, () => open(list.hidden), picture);
  opener.setAttribute("aria-haspopup", "menu");
  opener.setAttribute("aria-expanded", "false");
  list.addEventListener("keydown", (event) => {
    const way = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") {
      open(false);
      opener.focus();
    } else if (way) {
      event.preventDefault();
      const all = [...list.children];
      all[(all.indexOf(document.activeElement) + way + all.length) % all.length].focus();
    }
  });
  list.addEventListener("focusout", (event) => {
    if (!list.contains(event.relatedTarget) && event.relatedTarget !== opener) open(false);
  });
  return [opener, list];
}
