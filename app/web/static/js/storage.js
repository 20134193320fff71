// What this device keeps of an annotator's work, apart for each service behind one address.
const root = document.querySelector('meta[name="root-path"]')?.content ?? "";
const SPACE = `ab:${root}:`;
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
