// What this device keeps of an annotator's work: apart for each service behind one address, and for
// each annotator, so that nobody's answer is sent in somebody else's name, or dropped as not theirs.
const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content ?? "";
const SPACE = `ab:${meta("root-path")}:${meta("viewer")}:`;
export const DRAFTS = `${SPACE}draft:`;
export const OUTBOX = `${SPACE}outbox:`;

export function keysOf(prefix) {
  return Object.keys(localStorage).filter((key) => key.startsWith(prefix));
}

export function load(key) {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null;
  }
}

/** Gives whether it is kept: a full store must not stop anybody from answering. */
export function keep(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

export function drop(key) {
  localStorage.removeItem(key);
}
