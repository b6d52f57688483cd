// Highlights matches of a search. The browser draws them, so the rows are not changed. All panels of a page share them.

const HIGHLIGHT = typeof Highlight === "undefined" ? undefined : new Highlight();
if (HIGHLIGHT) CSS.highlights.set("snb-match", HIGHLIGHT);

export class Highlights {
  constructor(node) {
    this.node = node;
    this.ranges = [];
  }

  // Highlight a text; an empty text clears the highlights.
  show(text) {
    for (const range of this.ranges) HIGHLIGHT?.delete(range);
    this.ranges = text ? this.find(text.toLowerCase()) : [];
    for (const range of this.ranges) HIGHLIGHT?.add(range);
  }

  find(text) {
    const ranges = [];
    const walker = document.createTreeWalker(this.node, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const node = walker.currentNode;
      const content = node.data.toLowerCase();
      for (let at = content.indexOf(text); at >= 0; at = content.indexOf(text, at + text.length)) {
        if (at + text.length > node.length) break; // a lower-case text can be longer than the original
        const range = document.createRange();
        range.setStart(node, at);
        range.setEnd(node, at + text.length);
        ranges.push(range);
      }
    }
    return ranges;
  }
}
