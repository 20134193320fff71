// The pairs that are held: the next ones are asked for while there are still some.
import { call } from "../api.js";

/** How many pairs are held, the one on screen among them: each is a lease and a reservation. */
export const HELD = 3;
const MOST = 8;

export class Pairs {
  /** `isTaken(assignment)` tells which pairs are on the screen, or answered here already. */
  constructor(project, isTaken) {
    this.path = `/p/${project}/annotate/pairs`;
    this.isTaken = isTaken;
    this.queue = [];
    this.clockSkew = 0;
  }

  /**
   * Ask for what is held, and for new pairs up to `HELD`. `waiting`: how many are answered here and
   * still held there; `beforeTaking` is called when the answer is there. Gives the answer: `status`, `retry_after`, `ledger`, `pending_prompts`, and
   * the assignments that are `held`.
   */
  async fill(waiting, beforeTaking = () => {}) {
    const budget = Math.min(MOST, HELD + waiting);
    const { pairs, date, ...rest } = await this.ask(budget);
    if (date) this.clockSkew = date - Date.now();
    this.sift();
    beforeTaking();
    const known = new Set(this.queue.map((pair) => pair.assignment_id));
    const held = new Set(pairs.map((pair) => pair.assignment_id));
    this.queue = this.queue.filter((pair) => held.has(pair.assignment_id) || pairs.length >= budget);
    for (const pair of pairs) {
      if (!known.has(pair.assignment_id)) this.queue.push(pair);
    }
    return { ...rest, held };
  }

  /** How many pairs lie ahead. */
  get ahead() {
    this.sift();
    return this.queue.length;
  }

  /** The next pair whose lease has not run out; what has is dropped, to be asked for again. */
  next() {
    this.sift();
    return this.queue.shift() ?? null;
  }

  /**
   * Drop what is not to be shown. It is asked now and not when pairs arrive: in between, one may
   * have been answered, or taken back.
   */
  sift() {
    this.queue = this.queue.filter(
      (pair) => this.secondsLeft(pair) > 5 && !this.isTaken(pair.assignment_id),
    );
  }

  putBack(pair) {
    if (pair) this.queue.unshift(pair);
  }

  /** By the service's clock: this device's may be wrong. */
  secondsLeft(pair) {
    return (Date.parse(pair.expires_at) - Date.now() - this.clockSkew) / 1000;
  }

  async ask(budget) {
    let date = null;
    const answer = await call("POST", `${this.path}?budget=${budget}`, undefined, {
      onAnswer: (response) => {
        date = Date.parse(response.headers.get("Date") ?? "") || null;
      },
    });
    return { ...answer, date };
  }
}
