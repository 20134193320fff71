"""The main job on real preference data, through the real server and its real embedder."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import pyarrow.parquet
import pytest

from tests.e2e.serving import RunningService, own_environment, wait_until
from tests.support.data import real_lines

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

MOST_LABELS: Final = 200
PAIRS_AT_A_TIME: Final = 50
EMBEDDING_SECONDS: Final = 1200.0
FILES: Final = [
    (layout, file) for layout in ("standard", "conversational") for file in ("jsonl", "parquet")
]
Texts = frozenset[str]


@dataclass(frozen=True)
class Collection:
    """Real preference data: lines to import, and what people said about two texts of a prompt."""

    name: str
    lines: list[dict[str, Any]]
    votes: dict[tuple[str, Texts], str | None]
    """By the end of the prompt and the two texts: the preferred one; None: a tie."""

    @property
    def budget(self) -> int:
        """How many labels are bought: fewer than there are prompts."""
        return min(MOST_LABELS, len(self.lines) // 2)


@dataclass
class Job:
    """One collection's way through the service, and what came of it."""

    collection: Collection
    imported: dict[str, Any]
    pairs: list[dict[str, Any]] = field(default_factory=list)
    labels: list[dict[str, Any]] = field(default_factory=list)
    last_claim: dict[str, Any] = field(default_factory=dict)
    files: dict[tuple[str, str], Path] = field(default_factory=dict)


def last_turn(prompt: str | list[dict[str, str]]) -> str:
    """How a prompt ends, whether it is a string, chat messages, or a transcript."""
    end = prompt if isinstance(prompt, str) else prompt[-1]["content"]
    return end.rsplit("\n\nHuman:", 1)[-1].removeprefix("Human:").strip()


def qa_feedback() -> Collection:
    """Questions with four answers each, and the humans' votes on all of their pairs."""
    lines, votes = [], {}
    for source in real_lines("multi-qafeedback-dev"):
        texts = {one["id"]: one["text"] for one in source["responses"]}
        responses = [{"id": one, "text": text} for one, text in texts.items()]
        lines.append(
            {"id": source["prompt_id"], "prompt": source["prompt"], "responses": responses}
        )
        for vote in source["preferences"]:
            sides = {side: texts[vote[side]] for side in ("a", "b")}
            key = last_turn(source["prompt"]), frozenset(sides.values())
            votes[key] = sides.get(vote["winner"])
    return Collection("qa-feedback", lines, votes)


def hh_harmless() -> Collection:
    """Pairs as Anthropic publishes them: two transcripts that differ in their last turn.

    Two lines repeat the prompt of another one with other answers, and are left out: nobody was
    asked about an answer of the one beside an answer of the other.
    """
    lines, votes = [], {}
    prompts = set()
    for source in real_lines("hh-harmless-pairs"):
        if source["prompt"] in prompts:
            continue
        prompts.add(source["prompt"])
        start = f"\n\n{source['prompt']}\n\nAssistant: "
        sides = {side: source[side] for side in ("chosen", "rejected")}
        lines.append({side: start + text for side, text in sides.items()})
        votes[last_turn(source["prompt"]), frozenset(sides.values())] = source["chosen"]
    return Collection("hh-harmless", lines, votes)


def choice(collection: Collection, pair: dict[str, Any]) -> str:
    """What the humans of the collection would press."""
    left, right = pair["left"]["text"], pair["right"]["text"]
    preferred = collection.votes[last_turn(pair["prompt"]), frozenset((left, right))]
    return {left: "left", right: "right", None: "tie"}[preferred]


def import_lines(api: httpx.Client, collection: Collection) -> dict[str, Any]:
    body = "".join(json.dumps(line) + "\n" for line in collection.lines)
    answer = api.post(
        "/prompts/import",
        params={"project": collection.name, "labels": "ignore"},
        content=body.encode(),
        headers={"Content-Type": "application/x-ndjson"},
    )
    return dict(answer.raise_for_status().json())


def label_until_spent(api: httpx.Client, job: Job) -> None:
    """Ask for pairs and answer them as the humans did, until nothing more is handed out."""
    name = job.collection.name
    question: dict[str, str | int] = {"project": name, "budget": PAIRS_AT_A_TIME, "wait": 30}
    while True:
        job.last_claim = api.get("/next-pairs", params=question).raise_for_status().json()
        pairs = job.last_claim["pairs"]
        if not pairs:
            return
        answers = [
            {"assignment_id": pair["assignment_id"], "choice": choice(job.collection, pair)}
            for pair in pairs
        ]
        stored = api.post("/labels", json={"labels": answers})
        assert stored.status_code == 201
        job.pairs += pairs
        job.labels += stored.json()["labels"]


def download(api: httpx.Client, job: Job, folder: Path) -> None:
    for layout, file in FILES:
        params = {"project": job.collection.name, "layout": layout, "file": file}
        path = folder / f"{job.collection.name}-{layout}.{file}"
        path.write_bytes(api.get("/exports/dpo", params=params).raise_for_status().content)
        job.files[layout, file] = path


@pytest.fixture(scope="module", params=[qa_feedback, hh_harmless], ids=["qa-feedback", "hh"])
def job(
    request: pytest.FixtureRequest,
    service: RunningService,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Job]:
    """A collection imported, embedded, annotated to the end of its budget, and exported."""
    collection: Collection = request.param()
    name = collection.name
    with service.client() as api:
        budget = {"unit": "labels", "limit": collection.budget}
        api.post("/projects", json={"name": name, "budget": budget}).raise_for_status()
        done = Job(collection, import_lines(api, collection))

        def embedded() -> bool:
            counts = api.get(f"/projects/{name}").raise_for_status().json()["counts"]
            return bool(counts["pending_prompts"] == 0)

        wait_until(embedded, EMBEDDING_SECONDS, f"{name} is embedded", service.log)
        label_until_spent(api, done)
        download(api, done, tmp_path_factory.mktemp("exports"))
        yield done


def read_rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return list(pyarrow.parquet.read_table(path).to_pylist())
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def test_every_line_is_imported(job: Job) -> None:
    assert len(job.collection.lines) == job.imported["created"]
    assert job.imported["rejected_count"] == 0
    assert job.imported["labels"] == 0


def test_the_budget_is_spent_to_its_last_label_and_never_more(job: Job) -> None:
    ledger = job.last_claim["ledger"]
    assert job.last_claim["status"] == "exhausted"
    assert ledger == {
        "unit": "labels",
        "limit": job.collection.budget,
        "spent": job.collection.budget,
        "reserved": 0,
        "remaining": 0,
    }
    assert {"counted"} == {label["status"] for label in job.labels}


def test_each_pair_and_each_prompt_is_handed_out_once(job: Job) -> None:
    assert len(job.pairs) == job.collection.budget
    assert len({pair["pair_id"] for pair in job.pairs}) == job.collection.budget
    assert len({pair["prompt_id"] for pair in job.pairs}) == job.collection.budget


def test_a_tenth_of_the_pairs_is_exploration_with_its_propensity(job: Job) -> None:
    explored = [pair for pair in job.pairs if pair["arm"] == "exploration"]
    responses = 4 if job.collection.name == "qa-feedback" else 2
    propensities = {pair["propensity"] for pair in explored}
    assert propensities <= {1 / (responses * (responses - 1) / 2)}
    if job.collection.budget < MOST_LABELS:
        pytest.skip("a sample is too small for a share of its pairs to be told from none")
    assert propensities
    assert 0.05 * MOST_LABELS <= len(explored) <= 0.15 * MOST_LABELS


def test_the_stored_preference_is_the_text_the_humans_preferred(job: Job) -> None:
    for pair, label in zip(job.pairs, job.labels, strict=True):
        texts = {pair[side]["response_id"]: pair[side]["text"] for side in ("left", "right")}
        said = job.collection.votes[last_turn(pair["prompt"]), frozenset(texts.values())]
        assert said == texts.get(label["preferred_response_id"])


def test_the_dataset_has_a_row_for_each_preference_as_the_humans_said_it(job: Job) -> None:
    decided = [label for label in job.labels if label["preferred_response_id"]]
    rows = read_rows(job.files["conversational", "jsonl"])
    assert len(rows) == len(decided)
    for row in rows:
        assert list(row) == ["prompt", "chosen", "rejected"]
        assert row["prompt"][-1]["role"] == "user"
        (chosen,), (rejected,) = row["chosen"], row["rejected"]
        assert [chosen["role"], rejected["role"]] == ["assistant", "assistant"]
        texts = frozenset((chosen["content"], rejected["content"]))
        assert job.collection.votes[last_turn(row["prompt"]), texts] == chosen["content"]


def test_both_layouts_hold_the_same_preferences(job: Job) -> None:
    standard = read_rows(job.files["standard", "jsonl"])
    conversational = read_rows(job.files["conversational", "jsonl"])
    for text, chat in zip(standard, conversational, strict=True):
        asked = text["prompt"].removesuffix("\n\nassistant:")
        assert asked.endswith(chat["prompt"][-1]["content"])
        assert text["chosen"] == chat["chosen"][0]["content"]
        assert text["rejected"] == chat["rejected"][0]["content"]


@pytest.mark.parametrize("layout", ["standard", "conversational"])
def test_jsonl_and_parquet_hold_the_same_rows(job: Job, layout: str) -> None:
    assert read_rows(job.files[layout, "jsonl"]) == read_rows(job.files[layout, "parquet"])


def test_trl_trains_on_every_file_as_it_is(job: Job, tmp_path: Path) -> None:
    files = [str(path) for path in job.files.values()]
    script = Path(__file__).with_name("train_dpo.py")
    trained = subprocess.run(
        [sys.executable, script, tmp_path, *files],
        env=own_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
    )
    assert trained.returncode == 0, trained.stderr[-4000:]
    told = json.loads(trained.stdout.splitlines()[-1])
    for path in job.files.values():
        result = told[path.name]
        rows = read_rows(path)
        assert result["columns"] == ["prompt", "chosen", "rejected"]
        assert rows[0] == result["first"]
        assert [len(rows), len(rows), 2, 2] == [
            result["rows"],
            result["trainable"],
            result["steps"],
            len(result["losses"]),
        ]
