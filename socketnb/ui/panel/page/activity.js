// The turn state of a view: running turns, texts that are not recorded yet, and typing indicators.

const MAX_KNOWN_TURNS = 100;

export class Activity {
  constructor() {
    this.reset();
  }

  reset() {
    this.running = new Set(); // turns that have not ended
    this.pending = new Map(); // texts that are not recorded yet: request id, later turn number → node
    this.conversations = new Map(); // turns of recent rows → their conversation
    this.typist = this.speaker = this.firstMs = undefined;
  }

  get isWaiting() {
    return Boolean(this.running.size || this.pending.size);
  }

  get typingSender() {
    if (this.running.size) return this.typist ?? this.speaker ?? "bot";
    return this.typist && (this.speaker ?? this.typist);
  }

  // Update running turns and the typing indicator from a row of the visible conversation.
  addRows(rows) {
    for (const row of rows) {
      if (row.text !== undefined) this.running.add(row.turn);
      if (row.typing !== undefined) this.typist = row.typing ? row.sender : undefined;
      else if (row.sender === "bot" || row.sender === "agent") [this.typist, this.speaker] = [undefined, row.sender];
      if (row.first_ms !== undefined) this.firstMs = row.first_ms;
    }
  }

  // Update the state of a turn that was recorded or has ended, in any conversation.
  addTurn(row) {
    if (row.done_ms !== undefined) this.running.delete(row.turn);
    if (!row.turn) return;
    this.conversations.set(row.turn, row.conversation ?? this.conversations.get(row.turn));
    if (this.conversations.size > MAX_KNOWN_TURNS) this.conversations.delete(this.conversations.keys().next().value);
    this.removePending(row.turn);
  }

  // Set the turn of a text. Remove the pending text when a row of that turn is known. Return whether it was pending.
  setTurn(id, turn) {
    const node = this.pending.get(id);
    if (!node) return false;
    node.classList.remove("snb-delayed");
    this.pending.delete(id);
    if (this.conversations.has(turn)) node.remove();
    else this.pending.set(turn, node);
    return true;
  }

  removePending(key) {
    this.pending.get(key)?.remove();
    this.pending.delete(key);
  }
}
