// The drawer: a reason, and edits of the responses. While it is open, keys choose and Ctrl+Enter
// sends. What is written is kept on this device until it is sent.
import { dropDraft, keepDraft, readDraft } from "./drafts.js";
import { bodyOf, isSide, showArmed, showWhatIsBelow } from "./view.js";

const SIDES = ["left", "right"];
const $ = (selector) => document.querySelector(selector);
const other = (side) => SIDES.find((each) => each !== side);

/** The edits of an answer by side, as `written` tells them apart. */
export function editsOf({ choice, edited, edited_rejected }) {
  const told = isSide(choice) ? { [choice]: edited, [other(choice)]: edited_rejected } : {};
  return Object.fromEntries(Object.entries(told).filter(([, text]) => text != null));
}

export class Drawer {
  constructor() {
    this.pair = null;
    this.armed = null;
    this.edits = {}; // by side, as last written
    this.editors = {}; // by side, those that are open on the screen
    $("#reason").addEventListener("input", () => this.save());
    for (const chip of document.querySelectorAll(".chip")) {
      chip.addEventListener("click", () => {
        $("#reason").value = `${$("#reason").value} ${chip.textContent}.`.trim();
        this.save();
      });
    }
  }

  get isOpen() {
    return !$("#drawer").hidden;
  }

  /** Begin a pair; `before` is the answer that was taken back, or the draft of earlier. */
  begin(pair, before = readDraft(pair.assignment_id)) {
    this.close();
    this.pair = pair;
    this.edits = {};
    this.arm(null);
    if (!before) return;
    $("#reason").value = before.reason ?? "";
    this.edits = { ...before.edits };
    this.arm(before.armed ?? null);
    if (before.reason || Object.keys(this.edits).length) this.open({ isDraft: true });
  }

  arm(armed) {
    this.armed = armed;
    showArmed(armed);
    if (this.isOpen) {
      $("#ask").textContent = "Optional; it helps those who review.";
      this.save();
    }
  }

  open({ isDraft = false } = {}) {
    $("#drawer").hidden = false;
    $("#reason-btn").setAttribute("aria-pressed", "true");
    $("#saved").textContent = isDraft ? "Your draft" : "";
    for (const side of Object.keys(this.edits)) this.openEditor(side);
    if (!isDraft && !Object.keys(this.edits).length) $("#reason").focus();
    showWhatIsBelow();
  }

  /** Close it; what is written stays as a draft. */
  close() {
    const hadFocus = [$("#drawer"), ...Object.values(this.editors)].some((each) =>
      each.contains(document.activeElement),
    );
    this.stopEditing();
    $("#drawer").hidden = true;
    $("#reason").value = "";
    $("#reason-btn").setAttribute("aria-pressed", "false");
    if (hadFocus) document.activeElement?.blur();
  }

  toggle() {
    if (!this.isOpen) return this.begin(this.pair) ?? (this.isOpen || this.open());
    this.save();
    const { armed } = this;
    this.close();
    this.arm(armed);
  }

  /** Edit the response that was chosen, or the other one. */
  edit({ isOther = false } = {}) {
    if (!this.isOpen) this.open();
    const choice = this.armed?.choice ?? "";
    if (!isSide(choice)) {
      $("#ask").textContent = "First choose which response is better: 1 or 2.";
      document.activeElement?.blur();
      return;
    }
    this.openEditor(isOther ? other(choice) : choice).focus();
  }

  /** Open the source of a response, not what is rendered. */
  openEditor(side) {
    if (this.editors[side]) return this.editors[side];
    const body = bodyOf(side);
    const editor = Object.assign(document.createElement("textarea"), {
      value: this.edits[side] ?? this.pair[side].text,
    });
    editor.setAttribute("aria-label", `Your text of response ${side === "left" ? 1 : 2}`);
    editor.addEventListener("input", () => this.save());
    this.editors[side] = editor;
    body.hidden = true;
    body.after(editor);
    editor.setSelectionRange(0, 0);
    editor.scrollTop = 0;
    return editor;
  }

  stopEditing() {
    for (const editor of Object.values(this.editors)) editor.remove();
    this.editors = {};
    for (const side of SIDES) bodyOf(side).hidden = false;
  }

  /** What goes along with the answer; an edit only where it says something else. */
  get written() {
    const choice = this.armed?.choice ?? "";
    const edit = (side) => {
      const text = this.editors[side]?.value ?? this.edits[side] ?? "";
      return text.trim() && text !== this.pair[side].text ? text : null;
    };
    return {
      rationale: $("#reason").value.trim() || null,
      edited: isSide(choice) ? edit(choice) : null,
      edited_rejected: isSide(choice) ? edit(other(choice)) : null,
    };
  }

  save() {
    for (const [side, editor] of Object.entries(this.editors)) this.edits[side] = editor.value;
    const draft = { reason: $("#reason").value, edits: this.edits, armed: this.armed };
    const isKept = keepDraft(this.pair.assignment_id, draft);
    $("#saved").textContent = isKept ? "Draft kept on this device" : "";
  }

  forget(assignment) {
    dropDraft(assignment);
  }
}
