// Signing in: with a key that is typed, or with a key or an invitation in the fragment of the
// address, which the browser sends to no server. A fragment never replaces a session without being
// asked.
import { Problem, call, copyText, href } from "./api.js";

const form = document.getElementById("sign-in");
const error = document.getElementById("error");
const fragment = new URLSearchParams(location.hash.slice(1));
const fragmentKey = fragment.get("key");
const invitation = fragment.get("invitation");
if (fragmentKey || invitation) history.replaceState(null, "", location.pathname + location.search);

/** Where to go on: a page of this service only, whatever the address says. */
function nextPage() {
  const home = new URL(href("/"), location.href);
  const wanted = new URLSearchParams(location.search).get("next");
  if (!wanted?.startsWith("/")) return home;
  const next = new URL(href(wanted), location.href);
  const isOurs = next.origin === location.origin && next.pathname.startsWith(home.pathname);
  return isOurs ? next : home;
}

async function signIn(key) {
  error.textContent = "";
  const button = form.querySelector("[type=submit]");
  button.disabled = true;
  try {
    await call("POST", "/session", { key, keep: form.elements.keep.checked });
    location.replace(nextPage());
  } catch (problem) {
    button.disabled = false;
    error.textContent = explain(problem);
    form.elements.key.focus();
  }
}

function explain(problem) {
  if (!(problem instanceof Problem)) return "The service cannot be reached. Try again.";
  if (problem.status === 401) return "Nobody who is active has this key.";
  if (problem.status === 429) return "Too many tries. Wait a minute, then try again.";
  return problem.message;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const key = form.elements.key.value.trim();
  if (key) signIn(key);
  else error.textContent = "Enter your key.";
});

function showInvitation() {
  form.hidden = true;
  document.getElementById("invited").hidden = false;
  const accept = document.getElementById("accept");
  accept.focus();
  accept.addEventListener("click", async () => {
    const alert = document.getElementById("invited-error");
    const keep = document.getElementById("invited-keep").checked;
    alert.textContent = "";
    accept.disabled = true;
    try {
      welcome(await call("POST", "/session", { invitation, keep }));
    } catch (problem) {
      accept.disabled = false;
      const isSpent = problem instanceof Problem && problem.status === 401;
      alert.textContent = isSpent
        ? "This link has been used, or is older than seven days. Ask for another."
        : explain(problem);
    }
  });
}

function welcome({ name, key }) {
  document.getElementById("invited").hidden = true;
  document.getElementById("welcome-name").textContent = name;
  document.getElementById("welcome-key").textContent = key;
  document.getElementById("welcome-on").href = nextPage();
  document.getElementById("welcome").hidden = false;
  document.getElementById("welcome").focus();
  document
    .getElementById("welcome-copy")
    .addEventListener("click", () => copyText(document.getElementById("welcome-key")));
}

const signedIn = (await call("GET", "/session").catch(() => null))?.name;
if (invitation) {
  showInvitation();
  if (signedIn) {
    document.getElementById("invited-as").textContent = signedIn;
    document.getElementById("invited-replace").hidden = false;
  }
} else if (signedIn && fragmentKey) {
  document.getElementById("signed-in").textContent = signedIn;
  document.getElementById("replace").hidden = false;
  document.getElementById("stay").addEventListener("click", () => location.replace(nextPage()));
  document.getElementById("switch").addEventListener("click", () => signIn(fragmentKey));
  document.getElementById("stay").focus();
} else if (fragmentKey) {
  await signIn(fragmentKey);
} else if (signedIn) {
  location.replace(nextPage());
} else {
  form.elements.key.focus();
}
