"""Prompts in, pairs answered, a DPO dataset out: the whole job against a running service.

annotation-budget serve                                    # in one terminal
ADMIN_KEY=$(annotation-budget key) python quickstart.py    # in another
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import httpx

HERE = Path(__file__).parent
LABELS = 100

Votes = dict[tuple[str, frozenset[str]], str | None]
"""The preferred response of a prompt's pair, all by their names in the files; None: a tie."""


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a file with one JSON object a line."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def read_votes(path: Path) -> Votes:
    """What people said about each pair: here they stand in for your annotators."""
    return {
        (vote["prompt"], frozenset(vote["responses"])): vote["preferred"]
        for vote in read_lines(path)
    }


def make_project(api: httpx.Client, project: str) -> None:
    """A project with a budget of 100 labels; one that exists already is used as it is."""
    budget = {"unit": "labels", "limit": LABELS}
    answer = api.post("/projects", json={"name": project, "budget": budget})
    if answer.status_code != httpx.codes.CONFLICT:
        answer.raise_for_status()


def add_prompts(api: httpx.Client, project: str, prompts: list[dict[str, Any]]) -> dict[str, str]:
    """Post the prompts, wait till they are embedded, and give our name of each of their ids."""
    answer = api.post("/prompts", params={"project": project}, json={"prompts": prompts})
    names = {}
    for prompt in answer.raise_for_status().json()["prompts"]:
        names[prompt["id"]] = prompt["external_id"]
        names |= {response["id"]: response["external_id"] for response in prompt["responses"]}
    while api.get(f"/projects/{project}").raise_for_status().json()["counts"]["pending_prompts"]:
        time.sleep(0.5)
    return names


def answer_pair(pair: dict[str, Any], names: dict[str, str], votes: Votes) -> dict[str, str]:
    """The label of one pair: which side holds the response that people preferred."""
    left, right = (names[pair[side]["response_id"]] for side in ("left", "right"))
    preferred = votes[names[pair["prompt_id"]], frozenset((left, right))]
    choice = {left: "left", right: "right", None: "tie"}[preferred]
    return {"assignment_id": pair["assignment_id"], "choice": choice}


def spend_budget(api: httpx.Client, project: str, names: dict[str, str], votes: Votes) -> int:
    """Answer pairs, the most informative first, until the budget is spent or none is left."""
    answered = 0
    while True:
        ask = api.get("/next-pairs", params={"project": project, "budget": 20, "wait": 20})
        claim = ask.raise_for_status().json()
        if claim["status"] in {"exhausted", "complete"} and not claim["pairs"]:
            return answered
        if claim["pairs"]:
            labels = [answer_pair(pair, names, votes) for pair in claim["pairs"]]
            api.post("/labels", json={"labels": labels}).raise_for_status()
            answered += len(labels)


def download(api: httpx.Client, project: str, path: Path) -> int:
    """Write the DPO dataset to a file; gives its number of rows."""
    with api.stream("GET", "/exports/dpo", params={"project": project}) as answer:
        answer.raise_for_status()
        with path.open("wb") as file:
            for chunk in answer.iter_bytes():
                file.write(chunk)
    return len(read_lines(path))


def main() -> None:
    """Run the job on the sample beside this file."""
    parser = argparse.ArgumentParser(description="Run the whole job on the sample.")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--key", default=os.environ.get("ADMIN_KEY"))
    parser.add_argument("--project", default="quickstart")
    parser.add_argument("--out", type=Path, default=Path("quickstart-dpo.jsonl"))
    options = parser.parse_args()
    if not options.key:
        parser.error("give the admin key with --key or ADMIN_KEY (annotation-budget key shows it)")

    votes = read_votes(HERE / "qafeedback-50-votes.ndjson")
    bearer = {"Authorization": f"Bearer {options.key}"}
    with httpx.Client(base_url=options.url, headers=bearer, timeout=60) as api:
        make_project(api, options.project)
        names = add_prompts(api, options.project, read_lines(HERE / "qafeedback-50.ndjson"))
        answered = spend_budget(api, options.project, names, votes)
        rows = download(api, options.project, options.out)
    print(f"{answered} pairs answered; {rows} rows in {options.out} (ties give none)")


if __name__ == "__main__":
    main()
