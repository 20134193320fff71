// The prompt map on a canvas: up to 20,000 points, found under the pointer by a grid of cells.
import { call, href } from "./api.js";

const $ = (id) => document.getElementById(id);
const { project } = $("map").dataset;
const canvas = $("plane");
const pen = canvas.getContext("2d");
const MARGIN = 24;
const CELL = 24;
const REACH = 14;
const LISTED = 12;
const count = (value) => value.toLocaleString("en");

let points = null;
let by = "labels";
let selected = -1;
let places = { x: [], y: [] };
let grid = new Map();

async function begin() {
  try {
    points = await call("GET", `/map?${new URLSearchParams({ project })}`);
  } catch {
    return tellWhyNothing("The map cannot be read. Load the page again.");
  }
  if (!points.ids.length) {
    tellWhyNothing(
      points.prompts ? "The prompts are being read in. The map comes when they are." : "This project has no prompts yet.",
    );
    return;
  }
  describe();
  resize();
  listFarFromLabels();
  new ResizeObserver(resize).observe($("map"));
  // The colours are those of the page.
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
}

function tellWhyNothing(why) {
  canvas.hidden = true;
  $("map-empty").hidden = false;
  $("map-why").textContent = why;
}

const isLabelled = (index) => points.labels[index] > 0;

function describe() {
  const all = points.ids.length;
  const labelled = points.labels.filter((labels) => labels > 0).length;
  const explored = points.exploration.filter(Boolean).length;
  canvas.setAttribute(
    "aria-label",
    `${count(all)} prompts on a plane: ${Math.round((100 * labelled) / all)} percent labelled`,
  );
  const shown = all < points.prompts ? `${count(all)} of ${count(points.prompts)} prompts · ` : "";
  const share = points.share === null ? "" : `, ${Math.round(100 * points.share)}% of their spread`;
  const note = `${shown}Two principal directions of the prompts' embeddings${share}`;
  const marks = {
    labels: [["done", `labelled, ${count(labelled)}`], ["open", `open, ${count(all - labelled)}`]],
    agreement: [["done", "labelled, nobody contradicts"], ["bad", "labels contradict each other"], ["open", "open"]],
    similarity: [["faint", "unlike responses"], ["done", "alike responses"], ["open", "no pair yet"]],
  };
  const items = [...marks[by], ["square", `square: exploration, ${count(explored)}`]].map(([mark, words]) => {
    const item = document.createElement("span");
    item.append(Object.assign(document.createElement("i"), { className: `mark mark-${mark}` }), words);
    return item;
  });
  items.push(Object.assign(document.createElement("span"), { className: "push", textContent: note }));
  $("legend").replaceChildren(...items);
}

// ---- drawing ----
function resize() {
  const { width, height } = canvas.getBoundingClientRect();
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  const scale = (values, size) => {
    const [least, most] = bounds(values);
    const span = most - least || 1;
    return values.map((value) => MARGIN + ((value - least) / span) * (size - 2 * MARGIN));
  };
  places = { x: scale(points.x, width), y: scale(points.y.map((value) => -value), height) };
  grid = new Map();
  points.ids.forEach((_, index) => {
    const cell = cellOf(places.x[index], places.y[index]);
    if (grid.has(cell)) grid.get(cell).push(index);
    else grid.set(cell, [index]);
  });
  draw();
}

/** The least and the most of many numbers: too many for the arguments of one call. */
const bounds = (values) =>
  values.reduce(([least, most], value) => [Math.min(least, value), Math.max(most, value)], [Infinity, -Infinity]);

const cellOf = (x, y) => `${Math.floor(x / CELL)} ${Math.floor(y / CELL)}`;

/** Filled or hollow, and in which colour. */
function look(index, colours) {
  if (by === "similarity") {
    const value = points.similarity[index];
    return value === null ? [null, colours.open, 1] : [colours.accent, colours.card, 0.15 + 0.85 * clamp(value)];
  }
  if (!isLabelled(index)) return [null, colours.open, 1];
  const isContradicted = by === "agreement" && points.disputed[index];
  return [isContradicted ? colours.bad : colours.accent, colours.card, 1];
}

const clamp = (value) => Math.max(0, Math.min(1, value));

function draw() {
  if (!points?.ids.length) return;
  const style = getComputedStyle(document.documentElement);
  const probe = document.createElement("i");
  document.body.append(probe);
  const colour = (name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const names = { accent: "--accent", open: "--open", bad: "--bad", card: "--card", ink: "--ink" };
  const colours = Object.fromEntries(Object.entries(names).map(([key, name]) => [key, colour(name)]));
  probe.remove();
  const size = points.ids.length > 5000 ? 2 : points.ids.length > 1500 ? 3 : 4;
  pen.clearRect(0, 0, canvas.width, canvas.height);
  points.ids.forEach((_, index) => {
    const [fill, line, alpha] = look(index, colours);
    pen.globalAlpha = alpha;
    pen.beginPath();
    if (points.exploration[index]) pen.rect(places.x[index] - size, places.y[index] - size, 2 * size, 2 * size);
    else pen.arc(places.x[index], places.y[index], size, 0, 2 * Math.PI);
    pen.fillStyle = fill ?? colours.card;
    pen.fill();
    pen.globalAlpha = 1;
    pen.lineWidth = fill ? 1 : 1.5;
    pen.strokeStyle = line;
    pen.stroke();
  });
  if (selected < 0) return;
  pen.beginPath();
  pen.arc(places.x[selected], places.y[selected], size + 5, 0, 2 * Math.PI);
  pen.lineWidth = 2;
  pen.strokeStyle = colours.ink;
  pen.stroke();
}

for (const button of document.querySelectorAll("[data-by]")) {
  button.addEventListener("click", () => {
    by = button.dataset.by;
    for (const each of document.querySelectorAll("[data-by]")) {
      each.setAttribute("aria-pressed", String(each === button));
    }
    if (!points?.ids.length) return;
    describe();
    draw();
  });
}

// ---- choosing a prompt ----
function nearest(x, y, reach = REACH) {
  let best = -1;
  let least = reach * reach;
  const cells = Math.ceil(reach / CELL);
  for (let column = -cells; column <= cells; column += 1) {
    for (let line = -cells; line <= cells; line += 1) {
      for (const index of grid.get(cellOf(x + column * CELL, y + line * CELL)) ?? []) {
        const distance = (places.x[index] - x) ** 2 + (places.y[index] - y) ** 2;
        if (distance <= least) [best, least] = [index, distance];
      }
    }
  }
  return best;
}

canvas.addEventListener("pointermove", (event) => {
  const index = points ? nearest(event.offsetX, event.offsetY) : -1;
  canvas.classList.toggle("over", index >= 0);
  canvas.title = index < 0 ? "" : points.asked[index];
});
canvas.addEventListener("click", (event) => select(nearest(event.offsetX, event.offsetY)));
canvas.addEventListener("keydown", (event) => {
  const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (event.key === "Escape") return select(-1);
  if (!way || !points) return;
  event.preventDefault();
  select(towards(way));
});

/** The nearest prompt in a direction; sideways counts double. */
function towards([right, down]) {
  if (selected < 0) return 0;
  let best = selected;
  let least = Infinity;
  points.ids.forEach((_, index) => {
    const x = places.x[index] - places.x[selected];
    const y = places.y[index] - places.y[selected];
    const ahead = x * right + y * down;
    const aside = Math.abs(x * down) + Math.abs(y * right);
    if (index !== selected && ahead > 0 && ahead >= aside / 2 && ahead + 2 * aside < least) {
      [best, least] = [index, ahead + 2 * aside];
    }
  });
  return best;
}

async function select(index) {
  selected = index;
  $("card").hidden = index < 0;
  draw();
  if (index < 0) return listFarFromLabels();
  const labels = points.labels[index];
  const state = labels ? `${count(labels)} ${labels === 1 ? "label" : "labels"}` : "open";
  $("card-state").textContent = [state, points.exploration[index] && "exploration"].filter(Boolean).join(" · ");
  $("card-asked").textContent = points.asked[index] || "–";
  const query = new URLSearchParams({ status: "any", prompt_id: points.ids[index] });
  $("card-open").href = href(`/p/${project}/labels?${query}`);
  $("card-open").hidden = !labels;
  $("card-near").textContent = "";
  listAround(index);
  const found = await call("GET", `/prompts/${points.ids[index]}/similar?limit=3`).catch(() => null);
  if (selected !== index || !found?.similar.length) return;
  const near = found.similar.map(({ prompt, similarity }) => {
    const asked = typeof prompt === "string" ? prompt : (prompt.at(-1).content ?? "");
    return `${asked.slice(0, 80)} (${similarity.toFixed(2)})`;
  });
  $("card-near").textContent = `Nearest: ${near.join(", ")}`;
}
$("card-close").addEventListener("click", () => {
  select(-1);
  canvas.focus();
});

// ---- the list ----
function list(title, note, indexes) {
  $("list-title").textContent = title;
  $("list-note").textContent = note;
  const rows = indexes.map((index) => {
    const row = document.createElement("li");
    const button = Object.assign(document.createElement("button"), { type: "button", className: "item" });
    const asked = Object.assign(document.createElement("span"), { className: "q clip", dir: "auto" });
    asked.textContent = points.asked[index] || "–";
    const labels = Object.assign(document.createElement("span"), { className: "muted small nowrap" });
    labels.textContent = isLabelled(index) ? `${points.labels[index]} labelled` : "open";
    button.append(asked, labels);
    button.addEventListener("click", () => select(index));
    row.append(button);
    return row;
  });
  $("list").replaceChildren(...rows);
}

const distance = (one, other) =>
  (points.x[one] - points.x[other]) ** 2 + (points.y[one] - points.y[other]) ** 2;

function listAround(index) {
  const order = points.ids.map((_, other) => other).sort((one, other) => distance(one, index) - distance(other, index));
  list("Around it on the map", "", order.slice(0, LISTED));
}

/** Open prompts by their distance to the nearest labelled one on the map. */
function listFarFromLabels() {
  const labelled = points.ids.map((_, index) => index).filter(isLabelled);
  const open = points.ids.map((_, index) => index).filter((index) => !isLabelled(index));
  if (!open.length) return list("Every prompt has a label", "", []);
  if (!labelled.length) return list("Open prompts", "Nothing is labelled yet", open.slice(0, LISTED));
  // Of very many, a part is enough to find the wide areas.
  const some = (indexes) => indexes.filter((_, place) => place % Math.ceil(indexes.length / 1500) === 0);
  const anchors = some(labelled);
  const far = some(open).map((index) => {
    let least = Infinity;
    for (const anchor of anchors) least = Math.min(least, distance(index, anchor));
    return [index, least];
  });
  far.sort((one, other) => other[1] - one[1]);
  list("Far from any label", "by their distance on the map", far.slice(0, LISTED).map(([index]) => index));
}

begin();
