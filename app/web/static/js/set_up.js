// The forms of the set-up and of the settings: each changes the project through the API.
import { Problem, call, clearProblem, copyText, href, showProblem, toast } from "./api.js";

const $ = (id) => document.getElementById(id);
const FACTORS = { number: 1, percent: 0.01, minutes: 60 };
const STEPS = ["name", "prompts", "strategy", "budget", "annotators"];

/** The value of a field as the API wants it; what is no number is sent as it is, to be refused. */
function valueOf(input) {
  const { kind } = input.dataset;
  const text = input.value.trim();
  if (input.type === "checkbox") return input.checked;
  if (!kind) return input.value;
  if (text === "") return null;
  const number = Number(text.replaceAll(",", ""));
  if (Number.isNaN(number)) return text;
  const value = number * FACTORS[kind];
  return kind === "minutes" ? Math.round(value) : Number(value.toPrecision(12));
}

function read(form) {
  const body = {};
  for (const input of form.elements) {
    if (!input.name || (input.type === "radio" && !input.checked)) continue;
    const path = input.name.split(".");
    const place = path.slice(0, -1).reduce((inner, key) => (inner[key] ??= {}), body);
    place[path.at(-1)] = valueOf(input);
  }
  return body;
}

function told(problem) {
  return problem instanceof Problem ? problem.message : "The service cannot be reached. Try again.";
}

for (const form of document.querySelectorAll("[data-set-up]")) {
  const name = form.dataset.change;
  const isStep = location.pathname !== href(`/p/${name}/settings`);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const alert = form.querySelector("[role=alert]");
    alert.textContent = "";
    clearProblem(form);
    try {
      const body = read(form);
      const project = name
        ? await call("PATCH", `/projects/${name}`, body)
        : await call("POST", "/projects", { ...body, budget: { unit: "labels", limit: 0 } });
      if (!isStep) return toast("Saved.");
      const step = name ? location.pathname.split("/").at(-1) : "name";
      location.assign(href(`/p/${project.name}/setup/${STEPS[STEPS.indexOf(step) + 1]}`));
    } catch (problem) {
      alert.textContent =
        problem instanceof Problem ? showProblem(form, problem) : told(problem);
    }
  });
}

// ---- guidelines ----
$("preview")?.addEventListener("toggle", showPreview);
let previewing;
$("guidelines")?.addEventListener("input", () => {
  clearTimeout(previewing);
  previewing = setTimeout(showPreview, 300);
});
async function showPreview() {
  if (!$("preview").open) return;
  const { html } = await call("POST", "/new/preview", { text: $("guidelines").value });
  $("preview").querySelector(".prose").innerHTML = html; // cleaned by the service
}

// ---- hours of work ----
const work = $("work");
/** What the limit means in hours, or in labels, by what a pair is expected to take. */
function tellWork() {
  const seconds = Number(work.dataset.seconds);
  const unit = document.querySelector('[name="budget.unit"]:checked').value;
  const limit = valueOf($("limit"));
  const hourly = valueOf($("rate"));
  const hours = { labels: (limit * seconds) / 3600, minutes: limit / 60, money: limit / hourly }[unit];
  const few = (value) => value.toLocaleString("en", { maximumSignificantDigits: 2 });
  const known = typeof limit === "number" && limit > 0 && Number.isFinite(hours);
  const labels = Math.floor((hours * 3600) / seconds);
  work.textContent = `A pair takes about ${few(seconds)} s to read and answer.${
    known ? ` That makes ${few(hours)} hours of work${unit === "labels" ? "" : `, for about ${few(labels)} labels`}.` : ""
  }`;
}
if (work) {
  tellWork();
  work.closest("form").addEventListener("input", tellWork);
}

// ---- annotators ----
$("invite")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.currentTarget;
  const alert = form.querySelector("[role=alert]");
  const names = [...new Set($("names").value.split("\n").map((name) => name.trim()))].filter(Boolean);
  const left = [];
  alert.textContent = "";
  for (const name of names) {
    try {
      const body = { name, projects: [form.dataset.project], invite: true };
      const { invitation } = await call("POST", "/annotators", body);
      const link = new URL(href("/sign-in"), location.href);
      link.hash = `invitation=${invitation}`;
      $("links").hidden = false;
      $("link-list").append(`${name}: ${link}\n`);
    } catch (problem) {
      left.push(name);
      alert.textContent = `${alert.textContent} ${name}: ${told(problem)}`.trim();
    }
  }
  $("names").value = left.join("\n");
});
$("copy-links")?.addEventListener("click", () => copyText($("link-list"), "them"));

// ---- erasure ----
$("erase")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.currentTarget;
  const { project } = form.dataset;
  const confirm = form.elements.confirm.value;
  try {
    await call("DELETE", `/projects/${project}?${new URLSearchParams({ confirm })}`);
    location.assign(href("/projects"));
  } catch (problem) {
    form.querySelector("[role=alert]").textContent =
      problem instanceof Problem ? showProblem(form, problem) || problem.message : told(problem);
  }
});
