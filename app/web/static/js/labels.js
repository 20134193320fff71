// The review of labels. The list and the detail are fragments of the page, asked for as they change.
import { Problem, call, showProblem, toast } from "./api.js";
import { ask } from "./ask.js";

const $ = (id) => document.getElementById(id);
const items = () => [...document.querySelectorAll("#browse .item")];

// ---- filters ----
const filters = $("filters");
filters.addEventListener("change", ({ target }) => {
  if (target.matches("select")) filters.requestSubmit();
});
filters.addEventListener("submit", () => {
  // An address without what is not set is easier to read and to send.
  for (const input of filters.elements) if (input.name && !input.value) input.disabled = true;
});
addEventListener("pageshow", () => {
  for (const input of filters.elements) input.disabled = false;
});

// ---- the list ----
function current(pair) {
  for (const item of items()) {
    if (new URL(item.href).searchParams.get("pair") === pair) item.setAttribute("aria-current", "true");
    else item.removeAttribute("aria-current");
  }
}

function move(by) {
  const all = items();
  const now = all.findIndex((item) => item.hasAttribute("aria-current"));
  const next = all[Math.max(0, Math.min(all.length - 1, now + by))];
  if (!next || next === all[now]) return;
  next.focus();
  next.click();
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select")) return;
  const act = { j: () => move(1), k: () => move(-1), "/": () => $("q").focus() }[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

document.body.addEventListener("htmx:afterSwap", ({ detail: { requestConfig } }) => {
  const detail = $("detail");
  if (requestConfig?.elt?.matches(".item")) {
    current(detail.dataset.pair);
    // On a phone the detail stands below the list.
    if (detail.getBoundingClientRect().top > innerHeight / 2) detail.scrollIntoView();
  }
});
document.body.addEventListener("htmx:responseError", () => toast("That did not work. Try again."));
document.body.addEventListener("htmx:sendError", () => toast("The service cannot be reached."));

/** What has changed is asked for again: the counts, the list, and the pair in detail. */
function refresh(message) {
  toast(message);
  for (const part of ["which", "browse"]) {
    const address = new URL(location);
    address.searchParams.set("part", part);
    window.htmx.ajax("GET", `${address.pathname}${address.search}`, { target: `#${part}`, swap: "outerHTML" });
  }
}

// ---- what is done to a pair ----
document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-withdraw]");
  if (button) withdraw(button.closest("li"));
  else if (target.closest("#settle-open")) openSettle(true);
  else if (target.closest("#settle-close")) openSettle(false);
});

function withdraw(row) {
  ask(row.querySelector("[data-place]"), {
    words: "Its cost comes back, and the pair is open again.",
    label: "Withdraw",
    act: async () => {
      await call("DELETE", `/labels/${row.dataset.label}`);
      refresh("Withdrawn.");
    },
  });
}

function openSettle(isOpen) {
  const form = $("settle");
  form.reset();
  form.hidden = !isOpen;
  $("settle-open").setAttribute("aria-expanded", String(isOpen));
  $("settle-open").parentElement.hidden = isOpen;
  $("how-much").hidden = true;
  $("settle-what").textContent = "";
  (isOpen ? form.elements.answer[0] : $("settle-open")).focus();
}

/** The labels that stand and say otherwise: they are withdrawn with the admin's answer. */
const otherwise = (answer) =>
  [...$("said").children].filter(
    ({ dataset }) =>
      !["withdrawn", "skipped"].includes(dataset.status) && dataset.answer !== answer,
  );

document.addEventListener("change", ({ target }) => {
  if (target.form?.id !== "settle" || target.name !== "answer") return;
  const names = otherwise(target.value).map(({ dataset }) => dataset.annotator);
  $("how-much").hidden = !target.value.startsWith("rsp_");
  $("settle-what").textContent = names.length
    ? `Withdraws what ${names.join(" and ")} said.`
    : "Everybody says so already: your answer is added, if the pair has room for one more.";
});

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.id !== "settle") return;
  event.preventDefault();
  const alert = form.querySelector("[role=alert]");
  const answer = form.elements.answer.value;
  const isPreference = answer.startsWith("rsp_");
  const strength = Number(form.elements.strength.value) || null;
  const sent = {
    withdraw: otherwise(answer).map(({ dataset }) => dataset.label),
    ...(isPreference ? { preferred_response_id: answer, strength } : { choice: answer }),
    rationale: form.elements.rationale.value.trim() || null,
  };
  alert.textContent = "";
  try {
    await call("POST", `/pairs/${$("detail").dataset.pair}/correction`, sent);
    refresh("Settled.");
  } catch (problem) {
    alert.textContent =
      problem instanceof Problem ? showProblem(form, problem) : "The service cannot be reached.";
  }
});
