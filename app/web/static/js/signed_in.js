// On every page behind the sign-in: signing out, and signing in again where the session has ended.
import { Problem, call, href, onSignedOut } from "./api.js";
import { DRAFTS, OUTBOX, drop, keysOf } from "./storage.js";

async function signOut() {
  const drafts = keysOf(DRAFTS).length;
  const waiting = keysOf(OUTBOX).length;
  const lost = [
    drafts && `${drafts} ${drafts === 1 ? "draft" : "drafts"}`,
    waiting && `${waiting} ${waiting === 1 ? "answer" : "answers"} not sent yet`,
  ].filter(Boolean);
  if (lost.length && !confirm(`Sign out and drop ${lost.join(" and ")} on this device?`)) return;
  try {
    await call("DELETE", "/session");
  } catch (problem) {
    if (!(problem instanceof Problem) || problem.status !== 401) throw problem;
  }
  [...keysOf(DRAFTS), ...keysOf(OUTBOX)].forEach(drop);
  location.assign(href("/sign-in"));
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-sign-out]")) signOut();
});

/** One dialog, however many calls wait for it. */
let asking = null;

function askForKey() {
  const template = document.getElementById("sign-in-again");
  const dialog = template.content.firstElementChild.cloneNode(true);
  document.body.append(dialog);
  dialog.showModal();
  const form = dialog.querySelector("form");
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      asking = null;
      resolve(dialog.returnValue === "signed in");
    });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const error = form.querySelector("[role=alert]");
      error.textContent = "";
      try {
        const key = form.elements.key.value.trim();
        const session = await call("POST", "/session", { key });
        const before = document.querySelector('meta[name="viewer"]').content;
        if (session.name !== before) return location.reload();
        document.querySelector('meta[name="csrf-token"]').content = session.csrf_token;
        dialog.close("signed in");
      } catch (problem) {
        error.textContent =
          problem instanceof Problem && problem.status === 401
            ? "Nobody who is active has this key."
            : "That did not work. Try again.";
      }
    });
  });
}

onSignedOut(() => (asking ??= askForKey()));
