// Answers on their way: each stands on this device until the service has it. Sending one twice
// changes nothing, so whatever may have failed is sent again.
import { Problem, call } from "../api.js";
import { OUTBOX, drop, keep, keysOf, load } from "../storage.js";

const BACKOFF_MS = [1000, 2000, 5000, 15_000];

export class Outbox {
  /**
   * `onSent(assignment, stored, ledger)`, `onRefused(assignment, problem)` where the service will
   * never take it, and `onTrouble(isAway)` when sending fails and when it works again.
   */
  constructor(project, { onSent, onRefused, onTrouble }) {
    Object.assign(this, { project, onSent, onRefused, onTrouble });
    this.waiting = new Map();
    this.due = new Set(); // of what waits: those to be sent now
    this.flushing = null;
    this.failures = 0;
    addEventListener("online", () => this.flush().catch(() => {}));
  }

  /** Take up what waits on this device, from before a reload or from another tab. */
  load() {
    for (const key of keysOf(OUTBOX)) {
      const entry = load(key);
      if (entry?.project === this.project) this.waiting.set(entry.label.assignment_id, entry);
    }
  }

  /** Leave what waits to another tab. */
  stop() {
    clearTimeout(this.timer);
    this.waiting.clear();
    this.due.clear();
  }

  get size() {
    return this.waiting.size;
  }

  has(assignment) {
    return this.waiting.has(assignment);
  }

  /** Put an answer in, or another one for the same assignment in its place. */
  put(label) {
    const entry = { project: this.project, label };
    this.waiting.set(label.assignment_id, entry);
    keep(OUTBOX + label.assignment_id, entry);
  }

  /** Take an answer out again; gives whether it was still here and not being sent. */
  take(assignment) {
    if (assignment === this.sending || !this.waiting.delete(assignment)) return false;
    this.due.delete(assignment);
    drop(OUTBOX + assignment);
    return true;
  }

  /** Wait until an answer that is being sent has arrived, or has failed to. */
  async settled(assignment) {
    if (assignment === this.sending) await this.request.catch(() => {});
  }

  /** Send everything that waits by now, one after the other, after what is on its way already. */
  flush() {
    for (const assignment of this.waiting.keys()) this.due.add(assignment);
    this.flushing ??= this.sendDue().finally(() => {
      this.flushing = null;
    });
    return this.flushing;
  }

  async sendDue() {
    clearTimeout(this.timer);
    // What becomes due meanwhile is visited too.
    for (const assignment of this.due) {
      await this.send(assignment);
      this.due.delete(assignment);
    }
  }

  /** The page is going: what is here goes out with it, and stays until it is known to be there. */
  flushOnLeaving() {
    for (const { label } of this.waiting.values()) {
      call("POST", "/labels", label, { keepalive: true }).catch(() => {});
    }
  }

  async send(assignment) {
    const entry = this.waiting.get(assignment);
    if (!entry) return;
    this.sending = assignment;
    this.request = call("POST", "/labels", entry.label);
    try {
      const { labels, ledger } = await this.request;
      this.forget(assignment);
      this.recovered();
      this.onSent(assignment, labels[0], ledger);
    } catch (problem) {
      this.sending = null;
      if (problem instanceof Problem && isFinal(problem.status)) {
        this.forget(assignment);
        this.onRefused(assignment, problem);
      } else {
        this.retryLater();
        throw problem;
      }
    } finally {
      this.sending = null;
    }
  }

  forget(assignment) {
    this.waiting.delete(assignment);
    drop(OUTBOX + assignment);
  }

  recovered() {
    if (this.failures === 0) return;
    this.failures = 0;
    this.onTrouble(false);
  }

  retryLater() {
    const pause = BACKOFF_MS[Math.min(this.failures, BACKOFF_MS.length - 1)];
    this.failures += 1;
    this.onTrouble(true);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush().catch(() => {}), pause);
  }
}

/** Whether the service will answer the same again: not where it is busy, away or asks who I am. */
function isFinal(status) {
  return status >= 400 && status < 500 && ![401, 403, 408, 429].includes(status);
}
