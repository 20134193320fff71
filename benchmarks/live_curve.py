"""What does `GET /curve` say of a project whose annotators are labelled files' voters?

    python -m benchmarks.live_curve FILE ... --url URL --key KEY [--exploration 0.3]
        [--embeddings FILE.npz ...]

Posts the prompts of files of the multi schema, answers the pairs that the service hands out, each
by one vote drawn from those in the files (a pair without votes is skipped), and asks for the curve
after every so many labels.
"""

import argparse
import gzip
import json
import os
import random
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np

Votes = dict[tuple[str, frozenset[str]], list[str | None]]
"""Who was preferred in each vote on a prompt's pair; None: a tie."""


def main() -> None:
    """Run one project, and print the curve at each step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--key", default=os.environ.get("ADMIN_KEY"))
    parser.add_argument("--strategy", default="dissimilar")
    parser.add_argument("--exploration", type=float, default=0.3)
    parser.add_argument("--labels", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--embeddings",
        type=Path,
        nargs="*",
        default=[],
        help="vectors made elsewhere, as of `simulate`: a file for each",
    )
    asked = parser.parse_args()
    prompts = [prompt for path in asked.files for prompt in _read(path)]
    if asked.embeddings:
        _give_vectors(prompts, asked.embeddings)
    bearer = {"Authorization": f"Bearer {asked.key}"}
    with httpx.Client(base_url=asked.url, headers=bearer, timeout=120) as api:
        project = f"curve-{time.time_ns():x}"
        made = api.post(
            "/projects",
            json={
                "name": project,
                "strategy": asked.strategy,
                "exploration": asked.exploration,
                "budget": {"unit": "labels", "limit": asked.labels},
            },
        )
        made.raise_for_status()
        names = _post(api, project, prompts)
        _spend(api, project, names, _votes(prompts), asked)


def _votes(prompts: list[dict[str, Any]]) -> Votes:
    votes: Votes = {}
    for prompt in prompts:
        for vote in prompt["preferences"]:
            pair = prompt["prompt_id"], frozenset((vote["a"], vote["b"]))
            votes.setdefault(pair, []).append(vote.get(vote["winner"]))
    return votes


def _read(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        prompts = [json.loads(line) for line in lines]
    for prompt in prompts:
        prompt["prompt_id"] = f"{path.name} {prompt['prompt_id']}"
    return prompts


def _give_vectors(prompts: list[dict[str, Any]], paths: list[Path]) -> None:
    owned, rows = [], []
    for path in paths:
        with np.load(path, allow_pickle=False) as arrays:
            owned += arrays["prompts"].tolist()
            rows += arrays["responses"].tolist()
    vectors = iter(rows)
    for prompt, vector in zip(prompts, owned, strict=True):
        prompt["embedding"] = vector
        for response in prompt["responses"]:
            response["embedding"] = next(vectors)


def _post(api: httpx.Client, project: str, prompts: list[dict[str, Any]]) -> dict[str, str]:
    """Post the prompts; gives the file's names of the service's ids once all are planned."""
    names = {}
    for prompt in prompts:
        kept = ("id", "text", "embedding")
        responses = [{key: one[key] for key in kept if key in one} for one in prompt["responses"]]
        body = {
            "id": prompt["prompt_id"],
            "prompt": prompt["prompt"],
            "embedding": prompt.get("embedding"),
            "responses": responses,
        }
        answer = api.post("/prompts", params={"project": project}, json=body)
        if answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
            continue
        [stored] = answer.raise_for_status().json()["prompts"]
        names[stored["id"]] = stored["external_id"]
        names |= {one["id"]: one["external_id"] for one in stored["responses"]}
    while api.get(f"/projects/{project}").raise_for_status().json()["counts"]["pending_prompts"]:
        time.sleep(1)
    return names


def _spend(
    api: httpx.Client,
    project: str,
    names: dict[str, str],
    votes: Votes,
    asked: argparse.Namespace,
) -> None:
    draw = random.Random(asked.seed)
    told = 0
    while True:
        ask = api.get("/next-pairs", params={"project": project, "budget": 10, "wait": 20})
        claim = ask.raise_for_status().json()
        if claim["pairs"]:
            labels = [_answer(pair, names, votes, draw) for pair in claim["pairs"]]
            api.post("/labels", json={"labels": labels}).raise_for_status()
        is_over = not claim["pairs"] and claim["status"] in {"exhausted", "complete"}
        counted = api.get(f"/projects/{project}").json()["counts"]["labels"]
        if is_over or counted * asked.steps >= asked.labels * (told + 1):
            told += 1
            _tell(api, project, counted)
        if is_over:
            return


def _answer(
    pair: dict[str, Any], names: dict[str, str], votes: Votes, draw: random.Random
) -> dict[str, Any]:
    left, right = (names[pair[side]["response_id"]] for side in ("left", "right"))
    found = votes.get((names[pair["prompt_id"]], frozenset((left, right))))
    choice = "skip"
    if found:
        choice = {left: "left", right: "right", None: "tie"}[draw.choice(found)]
    return {"assignment_id": pair["assignment_id"], "choice": choice}


def _tell(api: httpx.Client, project: str, counted: int) -> None:
    started = time.perf_counter()
    curve = api.get("/curve", params={"project": project}).raise_for_status().json()
    seconds = time.perf_counter() - started
    print(f"\n{counted} labels, {curve['test_labels']} of them test; {seconds:.2f} s")
    for point in curve["points"]:
        print("  {labels:>5}  {accuracy:.3f} ({low:.3f} {high:.3f})".format(**point))
    print(f"  {curve['advice']}", flush=True)


if __name__ == "__main__":
    main()
