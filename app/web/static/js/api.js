// Calls of the HTTP API with the session of this browser.

const meta = (name) => document.querySelector(`meta[name="${name}"]`)?.content ?? "";

export const href = (path) => meta("root-path") + path;

/** What the service refused: `status`, `title`, `detail`, and `errors` with a `loc` and a `msg`. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail ?? body.title ?? `The service answered ${status}.`);
    Object.assign(this, { title: "", detail: this.message, errors: [], ...body, status });
  }
}

/** Only while no page has one of its own: what happens when the session has ended. */
let renewSession = async () => false;
export const onSignedOut = (renew) => {
  renewSession = renew;
};

/**
 * One call. With a `contentType` the body goes out as it is, else as JSON. Gives the parsed answer (null for 204), and throws a `Problem` for anything but 2xx, a
 * `TypeError` without a connection. Where the session has ended, it is renewed and the call repeated.
 */
export async function call(method, path, body, { onAnswer, contentType, ...options } = {}) {
  const headers = { Accept: "application/json", "X-CSRF-Token": meta("csrf-token") };
  if (body !== undefined) headers["Content-Type"] = contentType ?? "application/json";
  const answer = await fetch(href(path), {
    method,
    headers,
    body: body === undefined || contentType ? body : JSON.stringify(body),
    credentials: "same-origin",
    ...options,
  });
  onAnswer?.(answer);
  const isRenewable = path !== "/session" && !options.keepalive;
  if (answer.status === 401 && isRenewable && (await renewSession())) {
    return call(method, path, body, { onAnswer, contentType, ...options });
  }
  const text = await answer.text();
  const parsed = text && /json/.test(answer.headers.get("Content-Type") ?? "") ? JSON.parse(text) : null;
  if (!answer.ok) throw new Problem(answer.status, parsed ?? {});
  return parsed;
}

/** The fields of a problem under the inputs of a form; gives what belongs to no input. */
export function showProblem(form, problem) {
  clearProblem(form);
  const elsewhere = [];
  for (const { loc, msg } of problem.errors ?? []) {
    const name = loc.filter((part) => part !== "body").join(".");
    const input = form.elements?.[name];
    if (input instanceof HTMLElement) tell(input, msg);
    else elsewhere.push(name ? `${name}: ${msg}` : msg);
  }
  form.querySelector('[aria-invalid="true"]')?.focus();
  return problem.errors?.length ? elsewhere.join(" ") : problem.message;
}

export function clearProblem(form) {
  for (const note of form.querySelectorAll(".err[data-problem]")) note.remove();
  for (const input of form.querySelectorAll('[aria-invalid="true"]')) {
    input.removeAttribute("aria-invalid");
    input.removeAttribute("aria-errormessage");
  }
}

let notes = 0;
function tell(input, message) {
  const note = document.createElement("span");
  note.className = "err";
  note.dataset.problem = "";
  note.id = `problem-${(notes += 1)}`;
  note.textContent = message;
  input.setAttribute("aria-invalid", "true");
  input.setAttribute("aria-errormessage", note.id);
  (input.closest(".field") ?? input.parentElement).append(note);
}

let hiding;
/** A short note at the foot of the page. */
export function toast(message) {
  let note = document.getElementById("toast");
  if (!note) {
    note = Object.assign(document.createElement("div"), { id: "toast", className: "toast" });
    note.setAttribute("role", "status");
    document.body.append(note);
  }
  note.textContent = message;
  note.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => {
    note.hidden = true;
  }, 3500);
}

/** Copy an element's text; where the browser forbids it, select it instead. */
export async function copyText(element, what = "it") {
  try {
    await navigator.clipboard.writeText(element.textContent);
    toast("Copied.");
  } catch {
    getSelection().selectAllChildren(element);
    toast(`Selected: copy ${what} with your keyboard.`);
  }
}
