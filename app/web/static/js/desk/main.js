// The desk: one key answers, the next pair is there at once, and every answer can be taken back.
import { Problem, call, href, toast } from "../api.js";
import { watch } from "../live.js";
import { Clock } from "./clock.js";
import { clearDifferences, markDifferences } from "./differences.js";
import { Drawer, editsOf } from "./drawer.js";
import { dropOldDrafts } from "./drafts.js";
import { listen } from "./keys.js";
import { Outbox } from "./outbox.js";
import { Pairs } from "./pairs.js";
import { answerAlone } from "./tabs.js";
import * as view from "./view.js";

const TAP_MS = 700; // so soon after a new pair, a key strengthens the last answer or does nothing
const LOADING_MS = 300;
const $ = (selector) => document.querySelector(selector);
const { project } = document.body.dataset;

class Desk {
  constructor() {
    this.pair = null;
    this.done = []; // what was answered here and can be taken back, newest last
    this.answered = new Set(); // assignments that are not to be shown again
    this.today = Number($("#mine").dataset.today);
    this.isMine = false;
    this.drawer = new Drawer();
    this.clock = new Clock((isPaused) => view.banner("paused", isPaused && this.pair !== null));
    this.outbox = new Outbox(project, {
      onSent: (assignment, stored, ledger) => this.sent(assignment, stored, ledger),
      onRefused: (assignment, problem) => this.refused(assignment, problem),
      onTrouble: (isAway) => this.trouble(isAway),
    });
    this.pairs = new Pairs(
      project,
      // Asked for before an answer arrived, an answered pair may still come back as held.
      (assignment) =>
        assignment === this.pair?.assignment_id ||
        this.answered.has(assignment) ||
        this.outbox.has(assignment),
    );
    setInterval(() => this.lookForLapse(), 1000);
    addEventListener("pagehide", () => this.outbox.flushOnLeaving());
    addEventListener("blur", () => this.flush());
    addEventListener("online", () => this.pair || this.look());
  }

  async start() {
    this.isMine = true;
    this.outbox.load();
    dropOldDrafts();
    const loading = setTimeout(() => this.pair || view.showOnly("loading"), LOADING_MS);
    await this.flush();
    if (!this.pair) await this.look();
    clearTimeout(loading);
  }

  // ---- pairs ----

  /** Show the next pair; ask for more where too few are left. */
  async look() {
    if (!this.isMine) return;
    clearTimeout(this.lookTimer);
    if (this.showNext()) return this.fill();
    const answer = await this.fill();
    if (!this.pair && answer && !this.showNext()) this.showWhyNothing(answer);
  }

  showNext(before) {
    this.pair = this.pairs.next();
    if (!this.pair) {
      this.clock.end();
      return false;
    }
    this.show(before);
    return true;
  }

  show(before, seconds = 0) {
    view.showPair(this.pair);
    this.shownAt = performance.now();
    this.drawer.begin(this.pair, before);
    this.clock.begin(seconds);
    view.banner("lapsed", false);
    this.paintDifferences();
  }

  /** Ask for pairs; null where the service cannot be reached, which is tried again. */
  async fill() {
    if (this.filling) return this.filling;
    // What the service has got by now may be handed out again later: somebody withdraws a label. What
    // is asked from here on says so rightly.
    const arrived = [...this.answered].filter((assignment) => !this.outbox.has(assignment));
    this.filling = this.pairs
      .fill(this.outbox.size, () => arrived.forEach((each) => this.answered.delete(each)))
      .then((answer) => {
        view.showLedger(answer.ledger);
        if (this.outbox.failures === 0) view.banner("offline", false);
        return answer;
      })
      .catch((problem) => {
        this.unreachable(problem);
        return null;
      })
      .finally(() => {
        this.filling = null;
      });
    return this.filling;
  }

  unreachable(problem) {
    if (problem instanceof Problem && problem.status < 500 && problem.status !== 429) {
      if (problem.status !== 401) toast(problem.message);
    } else this.trouble(true);
    this.lookAgain(15);
  }

  lookAgain(seconds) {
    clearTimeout(this.lookTimer);
    this.lookTimer = setTimeout(() => this.pair || this.look(), seconds * 1000);
  }

  // ---- answers ----

  /** A key or a button: `isTap` for a key, which may be pressed again for a stronger answer. */
  choose(choice, strength, isTap) {
    if (!this.pair) return;
    const picked = view.isSide(choice) ? { choice, strength: strength ?? 1 } : { choice, strength: null };
    if (this.drawer.isOpen || asksForEnter()) return this.arm(picked, strength);
    const last = this.done.at(-1);
    if (last && performance.now() - Math.max(this.shownAt, last.tapped ?? 0) < TAP_MS) {
      if (isTap && strength === null && last.label.choice === choice) this.strengthen(last);
      return; // too soon to be about the pair that has just come
    }
    this.answer(picked);
  }

  /** Choose, and send later: with Enter, or Ctrl+Enter while a reason is written. */
  arm(picked, strength) {
    const { armed } = this.drawer;
    const isAgain = armed?.choice === picked.choice && strength === null && view.isSide(picked.choice);
    this.drawer.arm(isAgain ? { ...picked, strength: Math.min(3, armed.strength + 1) } : picked);
  }

  sendArmed() {
    if (!this.pair) return;
    if (!this.drawer.armed) return toast("Choose first: 1, 2, T or B.");
    this.answer(this.drawer.armed);
  }

  answer({ choice, strength }) {
    performance.mark("answered");
    const { pair } = this;
    const written = this.drawer.isOpen
      ? this.drawer.written
      : { rationale: null, edited: null, edited_rejected: null };
    const label = {
      assignment_id: pair.assignment_id,
      choice,
      strength,
      seconds: this.clock.seconds,
      ...written,
    };
    this.flush();
    this.outbox.put(label);
    this.done.push({ pair, label });
    this.answered.add(pair.assignment_id);
    this.pair = null;
    this.drawer.close();
    this.countToday(choice === "skip" ? 0 : 1);
    view.showLast(label);
    const hasNext = this.showNext();
    performance.measure("key to next pair", "answered");
    view.say(hasNext ? `${view.inWords(label)}. The next pair is here.` : `${view.inWords(label)}.`);
    clearTimeout(this.postTimer);
    this.postTimer = setTimeout(() => this.flush(), TAP_MS);
    if (hasNext) this.fill();
    else this.flush().then(() => this.pair || this.look());
  }

  strengthen(last) {
    if (!view.isSide(last.label.choice) || last.label.strength === 3) return;
    const label = { ...last.label, strength: last.label.strength + 1 };
    if (!this.outbox.take(label.assignment_id)) return;
    last.label = label;
    last.tapped = performance.now();
    this.outbox.put(label);
    view.showLast(label);
    view.say(view.inWords(label));
    clearTimeout(this.postTimer);
    this.postTimer = setTimeout(() => this.flush(), TAP_MS);
  }

  flush() {
    return this.outbox.flush().catch(() => {});
  }

  sent(assignment, stored, ledger) {
    this.drawer.forget(assignment);
    view.showLedger(ledger);
    const entry = this.done.find(({ label }) => label.assignment_id === assignment);
    if (entry) entry.id = stored.id;
    if (stored.status === "surplus") toast("Kept, but not counted: somebody was quicker.");
  }

  refused(assignment, problem) {
    this.done = this.done.filter(({ label }) => label.assignment_id !== assignment);
    view.showLast(this.done.at(-1)?.label);
    const why = {
      404: "That pair has been removed, so its answer is not kept.",
      409: "That pair is answered already, in another tab.",
    };
    toast(why[problem.status] ?? problem.message);
  }

  // ---- undo ----

  async undo() {
    const last = this.done.at(-1);
    if (!last || this.isUndoing || !this.isMine) return;
    this.isUndoing = true;
    try {
      await this.outbox.settled(last.label.assignment_id);
      if (this.outbox.take(last.label.assignment_id)) this.bringBack(last);
      else if (last.id) await this.withdraw(last);
    } catch (problem) {
      toast(problem instanceof Problem ? problem.message : "No connection: try again in a moment.");
    } finally {
      this.isUndoing = false;
    }
  }

  async withdraw(last) {
    await call("DELETE", `/labels/${last.id}`);
    this.answered.delete(last.pair.assignment_id);
    const answer = await this.pairs.fill(this.outbox.size + 1);
    view.showLedger(answer.ledger);
    if (!answer.held.has(last.pair.assignment_id)) {
      this.forgetLast(last);
      toast("Withdrawn; the budget has no room to ask it again.");
      return;
    }
    this.pairs.queue = this.pairs.queue.filter((pair) => {
      if (pair.assignment_id !== last.pair.assignment_id) return true;
      last.pair = pair; // with its new lease
      return false;
    });
    this.bringBack(last);
  }

  bringBack(last) {
    this.forgetLast(last);
    this.answered.delete(last.pair.assignment_id);
    this.pairs.putBack(this.pair);
    this.pair = last.pair;
    const { choice, strength, rationale, seconds } = last.label;
    const edits = editsOf(last.label);
    this.show({ armed: { choice, strength }, reason: rationale, edits }, seconds);
    view.say("Undone. The pair is yours again.");
  }

  forgetLast(last) {
    this.done = this.done.filter((each) => each !== last);
    this.countToday(last.label.choice === "skip" ? 0 : -1);
    view.showLast(this.done.at(-1)?.label);
  }

  countToday(change) {
    this.today = Math.max(0, this.today + change);
    view.showToday(this.today);
  }

  // ---- trouble ----

  trouble(isAway) {
    const waiting = this.outbox.size;
    const here = this.pairs.ahead + (this.pair ? 1 : 0);
    const answers = waiting === 1 ? "1 answer waits" : `${waiting} answers wait`;
    const pairs = here === 1 ? "the pair that is here" : `the ${here} pairs that are here`;
    $("#offline-why").textContent =
      (waiting ? `${answers} on this device and will be sent as soon as it is back. ` : "") +
      (here ? `You can go on with ${pairs}.` : "This page goes on by itself.");
    view.banner("offline", isAway);
    if (!isAway && !this.pair) this.look();
  }

  async retry() {
    await this.flush();
    if (this.outbox.size === 0) await (this.pair ? this.fill() : this.look());
  }

  lookForLapse() {
    if (!this.pair) return;
    const hasLapsed = this.pairs.secondsLeft(this.pair) <= 0;
    if (hasLapsed) {
      $("#lapsed-at").textContent = new Date(this.pair.expires_at).toLocaleTimeString([], {
        hour: "2-digit",
        minute: "2-digit",
      });
    }
    view.banner("lapsed", hasLapsed);
  }

  /** Leave a pair whose time has run out; what was written for it stays as a draft. */
  takeAnother() {
    if (this.drawer.isOpen) this.drawer.save();
    this.pair = null;
    this.look();
  }

  showWhyNothing({ status, retry_after: retryAfter, pending_prompts: pending }) {
    const action = (label, act, isPrimary) => {
      const button = Object.assign(document.createElement("button"), {
        type: "button",
        className: isPrimary ? "btn btn-primary" : "btn",
        textContent: label,
      });
      button.addEventListener("click", act);
      return button;
    };
    if (status === "ok") {
      // What is held is all answered here, and on its way.
      view.showOnly("loading");
      return this.lookAgain(1);
    }
    const own = location.pathname.replace(/annotate$/, "labels");
    const labels = action("Look at my labels", () => location.assign(own));
    const projects = action("My projects", () => location.assign(href("/projects")), true);
    if (status === "waiting") {
      const note = Object.assign(document.createElement("span"), { className: "row muted small" });
      note.innerHTML = '<span class="dot dot-on live"></span>Watching for pairs';
      const prompts = pending === 1 ? "1 new prompt is" : `${pending} new prompts are`;
      view.showNothing({
        icon: "clock",
        title: "Nothing for you right now",
        why:
          (pending ? `${prompts} being read in. ` : "What is left is with other annotators. ") +
          "This page goes on by itself as soon as a pair is free.",
        actions: [note, action("Look now", () => this.look())],
      });
      this.lookAgain(retryAfter ?? 15);
      return;
    }
    const isSpent = status === "exhausted";
    view.showNothing({
      icon: isSpent ? "flag" : "done",
      title: isSpent ? "The budget is spent" : "You have answered every pair",
      why: isSpent
        ? "There is nothing left to do here until somebody raises the budget. Thank you."
        : "No pair of this project is left for you, and none will come back. Thank you.",
      actions: [labels, projects],
    });
  }

  inAnotherTab(takeOver) {
    this.isMine = false;
    this.outbox.stop();
    this.pair = null;
    this.pairs.queue = [];
    this.clock.end();
    const button = Object.assign(document.createElement("button"), {
      type: "button",
      className: "btn btn-primary",
      textContent: "Answer here instead",
    });
    button.addEventListener("click", takeOver);
    view.showNothing({
      icon: "info",
      title: "You are answering in another tab",
      why: "One tab of a project answers at a time, so that no pair is shown twice.",
      actions: [button],
    });
  }

  // ---- reading ----

  paintDifferences() {
    if (!window.prefs.read().diff || !this.pair) return clearDifferences();
    const note = markDifferences(view.proseOf("left"), view.proseOf("right"));
    if (note) toast(note);
  }
}

const asksForEnter = () => Boolean(window.prefs.read().enter);

const desk = new Desk();
listen(desk);
answerAlone(project, {
  onMine: () => desk.start(),
  onBusy: (takeOver) => desk.inAnotherTab(takeOver),
  onLost: (takeOver) => desk.inAnotherTab(takeOver),
});
watch(project, (kind, { ledger }) => {
  if (ledger) view.showLedger(ledger);
  if (kind === "plan" && !desk.pair) desk.look();
});
