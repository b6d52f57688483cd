// The requests that the kernel has not answered yet.

const ANSWER_TIMEOUT_MS = 1500; // the time after which the panel shows that the kernel is busy or has stopped

export class Requests {
  constructor() {
    this.view = Math.random().toString(36).slice(2); // the id of this view of the panel
    this.timers = new Map(); // key of a request → its timer
    this.count = 0;
  }

  newId() {
    return `${this.view}-${this.count++}`;
  }

  // Call `onDelay` unless `answered` is called with the same key in time.
  expect(key, onDelay) {
    this.answered(key);
    this.timers.set(key, setTimeout(onDelay, ANSWER_TIMEOUT_MS));
  }

  answered(key) {
    clearTimeout(this.timers.get(key));
    this.timers.delete(key);
  }

  isWaiting(key) {
    return this.timers.has(key);
  }

  clear() {
    for (const key of [...this.timers.keys()]) this.answered(key);
  }
}
