// The drawer: a reason, and an edit of the preferred response. While it is open, keys choose and
// Ctrl+Enter sends. What is written is kept on this device until it is sent.
import { dropDraft, keepDraft, readDraft } from "./drafts.js";
import { bodyOf, isSide, showArmed, showWhatIsBelow } from "./view.js";

const $ = (selector) => document.querySelector(selector);

export class Drawer {
  constructor() {
    this.pair = null;
    this.armed = null;
    this.edited = null; // an edit that is not open on the screen
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
    this.edited = null;
    this.arm(null);
    if (!before) return;
    $("#reason").value = before.reason ?? "";
    this.edited = before.edited ?? null;
    this.arm(before.armed ?? null);
    if (before.reason || this.edited !== null) this.open({ isDraft: true });
  }

  arm(armed) {
    if (this.editor && armed?.choice !== this.armed?.choice) this.stopEditing();
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
    if (this.edited !== null && isSide(this.armed?.choice ?? "")) this.edit();
    else if (!isDraft) $("#reason").focus();
    showWhatIsBelow();
  }

  /** Close it; what is written stays as a draft. */
  close() {
    const hadFocus = $("#drawer").contains(document.activeElement) || this.editor?.matches(":focus");
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

  /** Open the source of the preferred response, not what is rendered. */
  edit() {
    if (!this.isOpen) this.open();
    if (!isSide(this.armed?.choice ?? "")) {
      $("#ask").textContent = "First choose which response to edit: 1 or 2.";
      document.activeElement?.blur();
      return;
    }
    if (this.editor) return;
    const body = bodyOf(this.armed.choice);
    this.editor = Object.assign(document.createElement("textarea"), {
      value: this.edited ?? this.pair[this.armed.choice].text,
    });
    this.editor.setAttribute("aria-label", "Improved text of the preferred response");
    this.editor.addEventListener("input", () => this.save());
    body.hidden = true;
    body.after(this.editor);
    this.editor.focus();
    this.editor.setSelectionRange(0, 0);
    this.editor.scrollTop = 0;
  }

  stopEditing() {
    this.editor?.remove();
    this.editor = null;
    for (const side of ["left", "right"]) bodyOf(side).hidden = false;
  }

  /** What goes along with the answer; an edit only where it says something else. */
  get written() {
    const reason = $("#reason").value.trim();
    const edited = this.editor?.value ?? this.edited;
    const source = isSide(this.armed?.choice ?? "") ? this.pair[this.armed.choice].text : null;
    const differs = edited !== null && source !== null && edited.trim() && edited !== source;
    return { rationale: reason || null, edited: differs ? edited : null };
  }

  save() {
    if (this.editor) this.edited = this.editor.value;
    const draft = { reason: $("#reason").value, edited: this.edited, armed: this.armed };
    const isKept = keepDraft(this.pair.assignment_id, draft);
    $("#saved").textContent = isKept ? "Draft kept on this device" : "";
  }

  forget(assignment) {
    dropDraft(assignment);
  }
}
