// Annotators and keys. A question stands in the row that it is about, and says what happens.
import { Problem, call, clearProblem, copyText, href, showProblem } from "./api.js";
import { ask } from "./ask.js";

const $ = (selector, root = document) => root.querySelector(selector);
const pathOf = (name) => `/annotators/${encodeURIComponent(name)}`;

const QUESTIONS = {
  link: { words: "Their key stops working when they use it.", label: "Make a new link", act: invite },
  remove: { words: "What they hold is given back; labels stay.", label: "Remove", act: remove },
  restore: { words: "They get a new link; their old key works too.", label: "Let in again", act: restore },
  erase: { words: "Labels stay, under a neutral name. This cannot be undone.", label: "Erase", act: erase },
};

document.getElementById("annotators").addEventListener("click", (event) => {
  const button = event.target.closest("[data-act]");
  if (!button) return;
  const row = button.closest("tr");
  if (button.dataset.act === "change") openChange(row);
  else {
    const { act, ...question } = QUESTIONS[button.dataset.act];
    ask($("[data-actions]", row), { ...question, act: () => act(row.dataset.name) });
  }
});

async function invite(name) {
  const { invitation } = await call("POST", `${pathOf(name)}/invitation`);
  showLink(name, invitation);
}

async function remove(name) {
  await call("DELETE", pathOf(name));
  location.reload();
}

async function restore(name) {
  await call("PATCH", pathOf(name), { active: true });
  await invite(name);
  const row = [...document.querySelectorAll("tr")].find((each) => each.dataset.name === name);
  $(".dot", row).className = "dot dot-on";
  $(".dot", row).nextSibling.textContent = "active";
}

async function erase(name) {
  await call("DELETE", `${pathOf(name)}?erase=true`);
  location.reload();
}

function showLink(name, invitation) {
  const link = new URL(href("/sign-in"), location.href);
  link.hash = `invitation=${invitation}`;
  $("#link-of").textContent = name;
  $("#link").textContent = link;
  $("#shown-once").hidden = false;
  $("#copy").focus();
}

$("#copy").addEventListener("click", () => copyText($("#link")));
// Whoever was just added stands in the table only after the page is loaded again.
$("#seen").addEventListener("click", () => location.reload());

function dialog(id, submit) {
  const element = document.getElementById(id);
  const form = $("form", element);
  $("[data-close]", element).addEventListener("click", () => element.close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const alert = $("[role=alert]", form);
    alert.textContent = "";
    clearProblem(form);
    try {
      await submit(read(form));
      element.close();
    } catch (problem) {
      alert.textContent =
        problem instanceof Problem ? showProblem(form, problem) : "The service cannot be reached.";
    }
  });
  return { element, form };
}

function read({ elements }) {
  const projects = [...elements.projects.selectedOptions].map((option) => option.value);
  const role = elements.role.value;
  return { name: elements.name.value.trim(), role, projects: projects.length ? projects : null };
}

const adding = dialog("adding", async (somebody) => {
  const { name, invitation } = await call("POST", "/annotators", { ...somebody, invite: true });
  showLink(name, invitation);
});
$("#add").addEventListener("click", () => {
  adding.form.reset();
  adding.element.showModal();
});

let changed = "";
const changing = dialog("changing", async ({ name, ...rest }) => {
  const change = name === changed ? rest : { name, ...rest };
  await call("PATCH", pathOf(changed), change);
  location.reload();
});

function openChange(row) {
  const { name, role, projects } = row.dataset;
  const { elements } = changing.form;
  const chosen = new Set(projects.split(" "));
  changed = name;
  $("#changing-name").textContent = name;
  elements.name.value = name;
  elements.name.disabled = name === "admin";
  elements.role.value = role;
  for (const option of elements.projects.options) option.selected = chosen.has(option.value);
  clearProblem(changing.form);
  changing.element.showModal();
}
