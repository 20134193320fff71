// Bringing prompts: a look at the first lines, what the columns are, then the file itself.
import { Problem, call, href } from "./api.js";

const $ = (id) => document.getElementById(id);
const upload = $("upload");
const { project } = upload.dataset;
const alert = upload.querySelector("[role=alert]");
const count = (value) => value.toLocaleString("en");

const TYPES = {
  csv: "text/csv",
  tsv: "text/tab-separated-values",
  parquet: "application/vnd.apache.parquet",
};
/** So much of a text is looked at first; a Parquet file of up to so much is looked at whole. */
const LOOK_BYTES = 512 * 1024;
const LOOK_TABLE_BYTES = 32 * 1024 * 1024;
const POLL_MS = 1000;

const typeOf = (file) => TYPES[file.name.toLowerCase().split(".").at(-1)] ?? "application/x-ndjson";

let chosen = null;

// ---- choosing a file ----
const choose = (file) => file && begin(file);
$("file").addEventListener("change", () => choose($("file").files[0]));
$("sample")?.addEventListener("click", async ({ currentTarget: { dataset } }) => {
  const name = dataset.address.split("/").at(-1);
  const answer = await fetch(dataset.address).catch(() => null);
  if (answer?.ok) choose(new File([await answer.blob()], name));
  else alert.textContent = "The sample cannot be read. Load the page again.";
});
upload.addEventListener("dragover", (event) => event.preventDefault());
upload.addEventListener("drop", (event) => {
  event.preventDefault();
  choose(event.dataTransfer.files[0]);
});

async function begin(file) {
  chosen = file;
  alert.textContent = "";
  for (const id of ["refused", "progress", "mapping"]) $(id).hidden = true;
  $("map-rows").replaceChildren();
  await look();
}

/** The beginning of a text up to the end of a line; other files whole, unless they are long. */
async function beginning(file) {
  if (typeOf(file) === TYPES.parquet) return file.size <= LOOK_TABLE_BYTES ? file : null;
  if (file.size <= LOOK_BYTES) return file;
  const start = new Uint8Array(await file.slice(0, LOOK_BYTES).arrayBuffer());
  const end = start.lastIndexOf(10);
  return end < 0 ? null : start.slice(0, end + 1);
}

let looks = 0;

async function look() {
  const file = chosen;
  const number = ++looks; // an answer to an earlier look may come later
  const body = await beginning(file);
  if (body === null) return showMapping(null);
  const query = new URLSearchParams({ project, dry_run: "true", ...map() });
  try {
    const found = await call("POST", `/prompts/import?${query}`, body, { contentType: typeOf(file) });
    if (file === chosen && number === looks) showMapping(found);
  } catch (problem) {
    alert.textContent =
      problem instanceof Problem ? problem.message : "The file cannot be read, or the service not reached.";
  }
}

// ---- what is what ----
function map() {
  const named = [...document.querySelectorAll("#map-rows select")].filter(({ value }) => value);
  const columns = Object.fromEntries(named.map(({ dataset, value }) => [dataset.column, value]));
  return named.length ? { map: JSON.stringify(columns) } : {};
}

function showMapping(found) {
  $("mapping").hidden = false;
  $("map-file").textContent = chosen.name;
  if (!found) {
    $("map-found").textContent = "Too long to be looked at first.";
    return;
  }
  const formats = Object.entries(found.formats).map(([name, lines]) => `${name} (${count(lines)})`);
  const parts = [
    `${count(found.lines)} ${found.lines === 1 ? "line" : "lines"} looked at`,
    formats.length ? `read as ${formats.join(", ")}` : "no known shape: say what the columns are",
    found.labels && `${count(found.labels)} preferences`,
    found.rejected.length && `${count(found.rejected.length)} would be refused`,
  ];
  $("map-found").textContent = parts.filter(Boolean).join(" · ");
  const first = found.rejected[0];
  $("map-problem").textContent = first ? `Line ${first.line}: ${first.detail}` : "";
  if (!$("map-rows").children.length) $("map-rows").replaceChildren(...found.columns.map(row));
  for (const { name, use } of found.columns) {
    const note = [...document.querySelectorAll("[data-use]")].find(({ dataset }) => dataset.use === name);
    if (note) note.textContent = ["left out", "ignored"].includes(use) ? use : "";
  }
  $("first-prompt").hidden = !found.prompts.length;
  if (found.prompts.length) showFirst(found.prompts[0]);
}

function row({ name, example }, index) {
  const line = $("map-row").content.firstElementChild.cloneNode(true);
  const select = line.querySelector("select");
  line.querySelector("code").textContent = name;
  line.querySelector("[data-example]").textContent = example;
  line.querySelector("[data-use]").dataset.use = name;
  select.id = `column-${index}`;
  select.dataset.column = name;
  select.setAttribute("aria-label", `What ${name} is`);
  select.addEventListener("change", look);
  return line;
}

function showFirst({ prompt, responses }) {
  const asked = typeof prompt === "string" ? prompt : (prompt.at(-1).content ?? "");
  $("first-asked").textContent = asked;
  const items = responses.map(({ text }) => Object.assign(document.createElement("li"), { textContent: text }));
  $("first-responses").replaceChildren(...items);
}

// ---- sending it ----
$("start").addEventListener("click", () => send(chosen));

/** With XHR, since `fetch` does not tell how much has been sent. */
function send(file) {
  const labels = upload.querySelector("[name=labels]:checked").value;
  const extra = $("keep-extra").checked ? "keep" : "ignore";
  alert.textContent = "";
  $("mapping").hidden = true;
  $("refused").hidden = true;
  $("progress").hidden = false;
  $("file-name").textContent = file.name;
  $("told").textContent = "Sending";
  const request = new XMLHttpRequest();
  const query = new URLSearchParams({ project, labels, extra, ...map() });
  request.open("POST", href(`/prompts/import?${query}`));
  request.setRequestHeader("Accept", "application/json");
  request.setRequestHeader("Content-Type", typeOf(file));
  request.setRequestHeader("X-CSRF-Token", document.querySelector('meta[name="csrf-token"]').content);
  request.upload.onprogress = ({ loaded, total }) => {
    $("sent").setAttribute("width", `${(100 * loaded) / total}%`);
  };
  const polling = setInterval(() => tellProgress(request), POLL_MS);
  request.onloadend = () => clearInterval(polling);
  request.onerror = () => {
    $("progress").hidden = true;
    alert.textContent = "The connection broke. Choose the file again: what is in already changes nothing.";
  };
  request.onload = () => {
    const answer = JSON.parse(request.responseText || "{}");
    if (request.status === 200) return showReport(answer, file.name);
    $("progress").hidden = true;
    alert.textContent = answer.detail ?? `The service answered ${request.status}.`;
  };
  request.send(file);
}

async function tellProgress(request) {
  const found = await call("GET", `/imports?${new URLSearchParams({ project })}`).catch(() => null);
  const running = found?.imports.filter((each) => each.is_running).at(-1);
  if (!running || request.readyState === XMLHttpRequest.DONE) return;
  const { created, extended, unchanged, rejected } = running;
  const parts = [
    `${count(created + extended + unchanged + rejected)} lines read`,
    `${count(created)} prompts created`,
    rejected && `${count(rejected)} refused`,
  ];
  $("told").textContent = parts.filter(Boolean).join(" · ");
}

function showReport(report, name) {
  const words = {
    created: (n) => (n === 1 ? "prompt created" : "prompts created"),
    extended: () => "extended",
    unchanged: () => "there already",
    labels: (n) => (n === 1 ? "label kept" : "labels kept"),
    rejected_count: (n) => (n === 1 ? "line refused" : "lines refused"),
  };
  $("sent").setAttribute("width", "100%");
  const parts = Object.entries(words).filter(([key]) => key === "created" || report[key]);
  const leftOut = Object.entries(report.left_out_columns ?? {}).map(([column, lines]) => `${column} (${count(lines)})`);
  $("told").textContent =
    parts.map(([key, word]) => `${count(report[key])} ${word(report[key])}`).join(" · ") +
    (leftOut.length ? ` · columns left out: ${leftOut.join(", ")}` : "");
  if (report.rejected_count) showRefused(report, name);
}

function showRefused(report, name) {
  $("refused").hidden = false;
  $("refused-title").textContent = `${count(report.rejected_count)} ${report.rejected_count === 1 ? "line was" : "lines were"} refused`;
  const rows = report.rejected.slice(0, 100).map(({ line, detail }) => {
    const row = document.createElement("tr");
    row.append(
      Object.assign(document.createElement("td"), { className: "num", textContent: line }),
      Object.assign(document.createElement("td"), { textContent: detail }),
    );
    return row;
  });
  $("refused-lines").replaceChildren(...rows);
  $("save-refused").onclick = () => {
    const lines = report.rejected.map((each) => `${JSON.stringify(each)}\n`);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(lines, { type: "application/x-ndjson" }));
    link.download = `${name}-refused.jsonl`;
    link.click();
    URL.revokeObjectURL(link.href);
  };
}
