// A reason and edits that are not sent yet, kept on this device by assignment.
import { DRAFTS, drop, keep, keysOf, load } from "../storage.js";

const KEPT_MS = 7 * 24 * 3600 * 1000;

export const readDraft = (assignment) => load(DRAFTS + assignment);
export const dropDraft = (assignment) => drop(DRAFTS + assignment);

/** `draft`: `reason`, `edits` (by side) and `armed`, the answer chosen so far. */
export function keepDraft(assignment, draft) {
  const isEmpty = !draft.reason && !Object.keys(draft.edits).length;
  if (isEmpty) return dropDraft(assignment);
  return keep(DRAFTS + assignment, { ...draft, at: Date.now() });
}

export function dropOldDrafts() {
  for (const key of keysOf(DRAFTS)) {
    if (Date.now() - (load(key)?.at ?? 0) > KEPT_MS) drop(key);
  }
}
