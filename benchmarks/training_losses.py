"""Every loss of `train` on real labels: does held-out accuracy rise, and by how much?

    annotation-budget serve --data-dir D --port 8123
    python -m benchmarks.training_losses data FOLDER --url http://127.0.0.1:8123 --key KEY \
        --model SMOLLM2
    python -m benchmarks.training_losses run FOLDER --model SMOLLM2 --results RESULTS

`data` fills three projects of the running service with people's labels and exports what the losses
need: ``main`` (QA-Feedback, labelled through the API, with edits by a script), ``several``
(PandaLM, three labels a pair) for the losses by confidence, and ``contrast`` (fewer prompts of
QA-Feedback, with log-probabilities of the model) for DLMA. `run` trains each loss once with the
settings that `train` takes by itself and once with one learning rate for all, and evaluates on the
pairs of the project's test split. It needs no service, adds to its results, and skips what is
there. On an 80 GiB GPU, five ``--workers`` have room; seven have not. On two cores, with ``--rates
common --rows 48 --test-rows 56 --max-length 160 --batch-size 8``, a loss takes some five minutes,
and ``spo`` 15 GB of memory.
"""

import argparse
import json
import multiprocessing
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from app.cli.transfer.service import get, stored_prompts
from app.training.build import Job, load_causal_model, load_tokenizer, place
from app.training.data import read_data
from app.training.evaluate import estimate
from app.training.losses import LOSSES, find_loss
from app.training.run import train
from app.training.scoring import log_probabilities
from app.training.settings import Device, resolve
from app.training.tokens import tokenise
from tests.e2e.serving import wait_until
from tests.support.data import real_lines

Json = dict[str, Any]

EMBEDDING_SECONDS: Final = 3600.0
TEST_FRACTION: Final = "0.3"
COMMON_RATE: Final = 1e-5
PROJECTS: Final = ("main", "several", "contrast")
OWN_PROJECT: Final = {"confidence": "several", "contrastive": "contrast"}
"""The project of a recipe; of all others it is ``main``."""
RESULTS: Final = "results.jsonl"


def command(*words: str) -> None:
    """Run `annotation-budget`."""
    subprocess.run([sys.executable, "-m", "app.cli", *words], check=True)


def recipe_project(recipe: str) -> str:
    """Where the rows of a recipe come from."""
    return OWN_PROJECT.get(recipe, "main")


def fill(api: httpx.Client, project: str, lines: Sequence[Json]) -> None:
    """Post prompts with their responses; the last response counts as the reference policy's."""
    body = {"name": project, "budget": {"limit": 100_000}}
    api.post("/projects", json=body).raise_for_status()
    prompts = [
        {
            "id": line["prompt_id"],
            "prompt": line["prompt"],
            "responses": [
                {"id": each["id"], "text": each["text"], "reference": place == 3}
                for place, each in enumerate(line["responses"])
            ],
        }
        for line in lines
    ]
    sent = api.post("/prompts", params={"project": project}, json={"prompts": prompts})
    sent.raise_for_status()
    wait_until_embedded(api, project)


def wait_until_embedded(api: httpx.Client, project: str) -> None:
    """Return when no prompt of the project waits for the embedder."""

    def is_done() -> bool:
        counts = get(api, f"/projects/{project}")["counts"]
        return bool(counts["pending_prompts"] == 0)

    wait_until(is_done, EMBEDDING_SECONDS, f"the prompts of {project} are embedded")


def shortened(text: str) -> str | None:
    """The text without its last sentence, as an edit that a script can make."""
    sentences = re.split(r"(?<=[.!?])\s+", text.strip())
    return " ".join(sentences[:-1]) if len(sentences) > 1 else None


def label_all(api: httpx.Client, project: str, lines: Sequence[Json]) -> int:
    """Answer every pair as the person of the data did; gives how many."""
    votes = {
        (line["prompt_id"], frozenset((vote["a"], vote["b"]))): vote
        for line in lines
        for vote in line["preferences"]
    }
    names = prompt_names(api, project)
    labels = 0
    while True:
        query: dict[str, str | int] = {"project": project, "budget": 100, "wait": 20}
        pairs = api.get("/next-pairs", params=query).raise_for_status().json()["pairs"]
        if not pairs:
            return labels
        answers = []
        for pair in pairs:
            own = {side: names[pair[side]["response_id"]] for side in ("left", "right")}
            prompt_id = own["left"][0]
            vote = votes[prompt_id, frozenset(name for _, name in own.values())]
            answers.append(answer(pair, own, vote))
        for each in answers:
            api.post("/labels", json=each).raise_for_status()
        labels += len(answers)


def prompt_names(api: httpx.Client, project: str) -> dict[str, tuple[str, str]]:
    """The data's own ids of prompt and response, by our id of the response."""
    return {
        each["id"]: (prompt["external_id"], each["external_id"])
        for prompt in stored_prompts(api, project)
        for each in prompt["responses"]
    }


def answer(pair: Json, own: dict[str, tuple[str, str]], vote: Json) -> Json:
    """A vote of the data as a label."""
    choice = "tie"
    if vote["winner"] != "tie":
        better = vote[vote["winner"]]
        choice = "left" if own["left"][1] == better else "right"
    edited = None if choice == "tie" else shortened(pair[choice]["text"])
    label = {"assignment_id": pair["assignment_id"], "choice": choice}
    return label if edited is None else {**label, "edited": edited}


def make_data(folder: Path, url: str, key: str, model: str, prompts: int, contrasts: int) -> None:
    """Fill the projects and export what the losses need."""

    answers = real_lines("multi-qafeedback-dev")
    folder.mkdir(parents=True, exist_ok=True)
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=600) as api:
        for project, lines in (("contrast", answers[:contrasts]), ("main", answers[:prompts])):
            fill(api, project, lines)
            print(f"{project}: {label_all(api, project, lines)} labels", flush=True)
        api.post("/projects", json={"name": "several"}).raise_for_status()
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
            file.writelines(json.dumps(line) + "\n" for line in real_lines("multi-pandalm"))
            file.flush()
            where = ["--project", "several", "--labels", "keep", "--url", url, "--key", key]
            command("import", file.name, *where)
        wait_until_embedded(api, "several")
    where = ["--url", url, "--key", key]
    command("logprobs", "--model", model, "--project", "contrast", "--about", "helpful", *where)
    recipes = {(recipe_project(loss.recipe), loss.recipe) for loss in LOSSES.values()}
    for project, recipe in sorted(recipes | {(project, "dpo") for project in PROJECTS}):
        out = str(folder / f"{project}-{recipe}")
        split = ["--test-fraction", TEST_FRACTION]
        more = ["--aggregation", "dawid-skene"] if project == "several" else []
        command("export", recipe, "--project", project, "--out", out, *split, *more, *where)


def jobs(
    done: set[tuple[str, str]], only: Sequence[str], wanted: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Loss and settings of what is still to do."""

    for rates in wanted:
        for name in only or LOSSES:
            if (name, rates) not in done:
                yield name, rates


def spread(rows: Dataset, most: int) -> Dataset:
    """At most so many rows, of as many prompts as there are: first one of each, then a second."""
    seen: Counter[str] = Counter()
    turns = []
    asked = rows["prompt" if "prompt" in rows.column_names else "prefix"]
    for prompt in map(json.dumps, asked):
        turns.append(seen[prompt])
        seen[prompt] += 1
    return rows.select(np.argsort(turns, kind="stable")[:most])


@dataclass(frozen=True)
class Size:
    """How much of the data is used, and where."""

    folder: Path
    model: str
    device: str
    rows: int
    test_rows: int
    max_length: int
    batch_size: int
    results: Path

    def held_out(self, project: str) -> Any:
        """Pairs of the project's test split."""
        return spread(read_data(self.folder / f"{project}-dpo").splits["test"], self.test_rows)

    def log_probabilities(self, model: str, project: str) -> NDArray[np.float64]:
        """Those of both sides of the pairs that are held out: ``(pairs, 2)``."""
        tokenizer = load_tokenizer(self.model)
        sides = [
            tokenise(tokenizer, row["prompt"], row[side]).cut(self.max_length)
            for row in self.held_out(project)
            for side in ("chosen", "rejected")
        ]
        loaded = load_causal_model(model).to(place(Device(self.device))).eval()
        return log_probabilities(loaded, sides).reshape(-1, 2)

    def of_reference(self, project: str) -> NDArray[np.float64]:
        """The same of the model that all trainings begin from; computed once."""
        kept = self.results / f"reference-{project}-{self.test_rows}-{self.max_length}.npy"
        if not kept.exists():
            np.save(kept, self.log_probabilities(self.model, project))
        found: NDArray[np.float64] = np.load(kept)
        return found


def train_and_evaluate(job: tuple[str, str], size: Size) -> Json:
    """One row of the results."""
    name, rates = job
    loss = find_loss(name)
    project = recipe_project(loss.recipe)
    given: Json = {
        "max_length": size.max_length,
        "batch_size": size.batch_size,
        "device_batch_size": min(8, size.batch_size),
    }
    if rates == "common":
        given |= {"learning_rate": COMMON_RATE, "beta": 0.1, "lora_rank": 0, "epochs": 1.0}
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "out"
        data = read_data(size.folder / f"{project}-{loss.recipe}")
        data.splits["train"] = spread(data.train, size.rows)
        test = data.splits.pop("test")
        if name == "reward":  # all others are evaluated below, on the same pairs
            data.splits["test"] = spread(test, size.test_rows)
        resolved = resolve(loss, given, {}, {})
        trained = train(
            Job(
                loss=loss,
                resolved=resolved,
                data=data,
                model=size.model,
                device=Device(size.device),
                checkpoints=out / "checkpoints",
                save_every=10**9,
            ),
            out,
        )
        row: Json = {
            "loss": name,
            "rates": rates,
            "recipe": loss.recipe,
            "project": project,
            "rows": len(data.train),
            "steps": int(trained.figures["steps"]),
            "learning_rate": resolved.settings.learning_rate,
            "beta": resolved.settings.beta,
            "lora_rank": resolved.settings.lora_rank,
            "figures": dict(trained.figures),
        }
        if name == "reward":
            row["accuracy"] = {"mean": trained.figures["eval_accuracy"]}
        else:
            ratios = size.log_probabilities(str(out), project) - size.of_reference(project)
            margins = resolved.settings.beta * (ratios[:, 0] - ratios[:, 1])
            right = (margins > 0) + 0.5 * (margins == 0)
            asked = [json.dumps(prompt) for prompt in size.held_out(project)["prompt"]]
            row |= {"pairs": len(margins), "prompts": len(set(asked))}
            row |= {"accuracy": asdict(estimate(right, asked, 0))}
            row |= {"margin": asdict(estimate(margins, asked, 0))}
    return row | {"seconds": round(time.monotonic() - begun, 1)}


def work(job: tuple[str, str], size: Size) -> None:
    """Do one job, and note its result or its error."""
    try:
        row = train_and_evaluate(job, size)
    except Exception as error:  # noqa: BLE001 - the others go on
        row = {"loss": job[0], "rates": job[1], "error": f"{type(error).__name__}: {error}"}
    with (size.results / RESULTS).open("a") as file:
        file.write(json.dumps(row) + "\n")
    shown = row.get("error") or f"{row['accuracy']['mean']:.3f} in {row['seconds']} s"
    print(f"{job[0]} ({job[1]}): {shown}", flush=True)


def read_results(results: Path) -> list[Json]:
    """The rows so far."""
    return [json.loads(line) for line in results.open()] if results.exists() else []


def run(size: Size, workers: int, only: list[str], rates: list[str]) -> None:
    """Train and evaluate what is not done yet, several at a time, and print the table."""
    size.results.mkdir(parents=True, exist_ok=True)
    rows = read_results(size.results / RESULTS)
    done = {(row["loss"], row["rates"]) for row in rows if "error" not in row}
    # A process for each training: what one has held in memory is free for the next.
    with ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), max_tasks_per_child=1
    ) as pool:
        running = [pool.submit(work, job, size) for job in jobs(done, only, rates)]
        for each in running:
            each.result()  # raises if the system has killed a process, for its memory say
    print_table(read_results(size.results / RESULTS))


def print_table(rows: Sequence[Json]) -> None:
    """Markdown: one line a loss."""
    good = [row for row in rows if "error" not in row]
    print("| loss | rows | own settings | accuracy | margin | at the common rate | margin |")
    print("|---|---|---|---|---|---|---|")
    for name in sorted({row["loss"] for row in good}):
        by = {row["rates"]: row for row in good if row["loss"] == name}
        first = by.get("own") or by["common"]
        own = f"β {first['beta']:g}, rate {first['learning_rate']:g}"
        cells = [cell for rates in ("own", "common") for cell in _cells(by.get(rates))]
        print(f"| `{name}` | {first['rows']} | {own} | {' | '.join(cells)} |")


def _cells(row: Json | None) -> tuple[str, str]:
    if row is None:
        return "–", "–"
    accuracy = row["accuracy"]
    if "low" not in accuracy:
        return f"{accuracy['mean']:.3f}", "–"
    interval = f"{accuracy['mean']:.3f} ({accuracy['low']:.3f} to {accuracy['high']:.3f})"
    return interval, f"{row['margin']['mean']:.4f}"


def main() -> None:
    """`data`, `run` or `table`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["data", "run", "table"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--key", default="")
    parser.add_argument("--prompts", type=int, default=500)
    parser.add_argument("--contrasts", type=int, default=80)
    parser.add_argument("--results", type=Path, default=Path("training-losses"))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rows", type=int, default=1024, help="the most rows to train on")
    parser.add_argument("--test-rows", type=int, default=10_000, help="the most pairs held out")
    parser.add_argument("--max-length", type=int, default=320, help="tokens, with the prompt")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rates", nargs="*", default=["own", "common"])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=[])
    its = parser.parse_args()
    if its.what == "data":
        make_data(its.folder, its.url, its.key, its.model, its.prompts, its.contrasts)
    elif its.what == "run":
        size = Size(
            folder=its.folder,
            model=its.model,
            device=its.device,
            rows=its.rows,
            test_rows=its.test_rows,
            max_length=its.max_length,
            batch_size=its.batch_size,
            results=its.results,
        )
        run(size, its.workers, its.only, its.rates)
    else:
        print_table(read_results(its.folder / RESULTS))


if __name__ == "__main__":
    main()
