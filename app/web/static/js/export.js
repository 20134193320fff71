// Export: what follows the options is asked for anew when they change.
import { Problem, call, copyText, href } from "./api.js";

const $ = (id) => document.getElementById(id);
const form = $("export");
const { project } = form.dataset;
const DEFAULTS = {
  split: "all",
  file: "jsonl",
  layout: "standard",
  aggregation: "majority",
  rounds: "all",
};
const REASONS = {
  tie: "ties",
  both_bad: "both bad",
  no_majority: "disagreements without a majority",
  below_agreement: "too little agreement",
  one_text: "both responses say the same",
  joined: "the same two texts elsewhere",
  tools: "tools that the file cannot hold",
  circle: "would run in a circle",
  other_split: "in the other part",
};
const format = (value) => value.toLocaleString("en");

function read() {
  const chosen = new FormData(form);
  const options = {};
  for (const [name, usual] of Object.entries(DEFAULTS)) {
    if ((chosen.get(name) ?? usual) !== usual) options[name] = chosen.get(name);
  }
  for (const name of ["metadata", "surplus"]) if (chosen.has(name)) options[name] = "true";
  return { recipe: chosen.get("recipe"), options };
}

function query(options) {
  return new URLSearchParams({ project, ...options }).toString();
}

let asked = 0;
async function show() {
  const { recipe, options } = read();
  const { split, ...rest } = options;
  $("download").href = href(`/exports/${recipe}?${query(options)}`);
  $("bundle").href = href(`/exports/${recipe}/bundle?${query(rest)}`);
  const file = `${project}-${recipe}-${split ?? "all"}.${options.file ?? "jsonl"}`;
  showCommand(recipe, options, file);
  showSnippet(recipe, options, file);
  asked += 1;
  const number = asked;
  try {
    const preview = await call("GET", `/exports/${recipe}/preview?${query(options)}`);
    if (number === asked) showPreview(preview, split);
  } catch (problem) {
    if (number !== asked) return;
    $("problem").textContent =
      problem instanceof Problem ? problem.message : "The service cannot be reached.";
    $("flow").replaceChildren();
    $("first").textContent = "";
    $("few").hidden = true;
    $("download").lastElementChild.textContent = "Download";
  }
}

function showPreview({ labelled_pairs: pairs, rows, left_out: leftOut, ...preview }, split) {
  const line = (word, count, className = "") => {
    const item = Object.assign(document.createElement("li"), { className });
    item.append(
      Object.assign(document.createElement("span"), { textContent: word }),
      Object.assign(document.createElement("span"), { className: "num", textContent: count }),
    );
    return item;
  };
  const minus = Object.entries(leftOut)
    .filter(([, count]) => count)
    .map(([reason, count]) => line(REASONS[reason], `− ${format(count)}`, "minus"));
  const sum = line(split ? `Rows in ${split}` : "Rows", format(rows), "sum");
  $("flow").replaceChildren(line("Labelled pairs", format(pairs)), ...minus, sum);
  $("problem").textContent = "";
  $("few").hidden = rows >= 50;
  const pending = preview.pending_prompts;
  $("pending").hidden = pending === 0;
  $("pending").textContent = `${format(pending)} prompts are still being planned, and left out.`;
  $("first").textContent = preview.first.length ? JSON.stringify(preview.first[0], null, 1) : "No rows yet.";
  const size = preview.bytes < 1e6 ? `${Math.ceil(preview.bytes / 1e3)} kB` : `${(preview.bytes / 1e6).toFixed(1)} MB`;
  $("download").lastElementChild.textContent = `Download ${format(rows)} rows, ${size}`;
}

function showCommand(recipe, options, file) {
  const flags = Object.entries(options).map(([name, value]) =>
    value === "true" ? `--${name}` : `--${name} ${value}`,
  );
  $("command").textContent =
    `annotation-budget export ${recipe} \\\n  --project ${project} ${[...flags, `--out ${file}`].join(" ")}`;
}

function showSnippet(recipe, { file: kind }, file) {
  const builder = kind === "parquet" ? "parquet" : "json";
  const load = `from datasets import load_dataset\n\nrows = load_dataset(\n    "${builder}", data_files="${file}", split="train"\n)\n`;
  const train =
    recipe === "dpo"
      ? '\nfrom trl import DPOConfig, DPOTrainer\n\ntrainer = DPOTrainer(\n    model="path/to/your/sft-model",\n    args=DPOConfig("dpo-model"),\n    train_dataset=rows,\n)\ntrainer.train()\n'
      : "";
  $("snippet").textContent = load + train;
}

form.addEventListener("change", show);
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copyText($(button.dataset.copy));
});
show();
