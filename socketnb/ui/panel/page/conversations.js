// A tab for each conversation of a session, on platforms that allow several.

import { button, make } from "./dom.js";

export class ConversationTabs {
  // `select` gets the id of a conversation, "" for a new one, and undefined for all of them.
  constructor(select) {
    this.select = select;
    this.node = make("div", "snb-tabs");
    this.node.hidden = true;
  }

  reset() {
    this.justClosed = this.open = this.shown = undefined;
  }

  show(conversations, current) {
    this.node.hidden = false;
    const content = JSON.stringify([conversations, current ?? null]);
    if (content === this.shown) return; // keep the tabs, because one of them may have the focus
    this.shown = content;
    this.noteClosed(conversations);
    const tab = (label, id, conversation) => {
      const node = button("snb-tab", label, () => this.select(id));
      node.dir = "auto";
      node.setAttribute("aria-pressed", String(current === id));
      if (conversation?.agent) node.prepend(make("span", "snb-agent-dot"));
      if (conversation?.unread) node.append(make("span", "snb-unread", String(conversation.unread)));
      if (conversation?.closed) node.classList.add("snb-closed");
      return node;
    };
    const tabs = conversations.map((each, n) => tab(each.agent || `Conversation ${n + 1}`, each.id, each));
    this.node.replaceChildren(tab("All", undefined), ...tabs, tab("New", ""));
  }

  // `justClosed` is the id of a conversation that was closed while it was shown here.
  noteClosed(conversations) {
    this.justClosed = conversations.find(({ id, closed }) => closed && this.open?.has(id))?.id ?? this.justClosed;
    this.open = new Set(conversations.filter(({ closed }) => !closed).map(({ id }) => id));
  }
}
