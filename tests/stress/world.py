"""What the annotators work on: projects with prompts, and the annotators with their keys."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np

from tests.e2e.serving import wait_until
from tests.stress.annotators import Annotator, Desk

_DIMENSIONS = 8


def make_project(
    admin: httpx.Client, name: str, *, prompts: int, responses: int, seed: int, **settings: Any
) -> None:
    """A project with random prompts that bring their own embeddings; its plan begins to fill."""
    made = admin.post("/projects", json={"name": name, "lease_seconds": 10, **settings})
    assert made.status_code == 201, made.text
    rng = np.random.default_rng(seed)
    sent = [
        {
            "id": f"{name}-{number}",
            "prompt": f"Question {number} of {name}?",
            "responses": [
                {
                    "id": f"{number}-{place}",
                    "text": f"answer {place} to question {number}",
                    "embedding": rng.normal(size=_DIMENSIONS).tolist(),
                }
                for place in range(responses)
            ],
        }
        for number in range(prompts)
    ]
    taken = admin.post("/prompts", params={"project": name}, json={"prompts": sent})
    assert taken.status_code == 201, taken.text


def wait_for_plan(admin: httpx.Client, name: str, pairs: int, seconds: float = 300) -> None:
    """Until the project's plan holds so many pairs."""

    def is_planned() -> bool:
        counts = admin.get(f"/projects/{name}").json()["counts"]
        return int(counts["open_pairs"]) >= pairs

    wait_until(is_planned, seconds, f"{pairs} pairs in the plan of {name}")


def hire(
    admin: httpx.Client, desk: Desk, rng: random.Random, *, count: int, leavers: int, tabs: int
) -> list[Annotator]:
    """So many annotators; some leave early for good, some work in two tabs."""
    hired = []
    for number in range(count):
        made = admin.post("/annotators", json={"name": f"annotator-{number}"})
        assert made.status_code == 201, made.text
        hired.append(
            Annotator(
                name=f"annotator-{number}",
                key=made.json()["key"],
                desk=desk,
                rng=random.Random(rng.random()),
                leaves_after=rng.randint(1, 4) if number < leavers else None,
                tabs=2 if leavers <= number < leavers + tabs else 1,
            )
        )
    return hired


async def all_work(annotators: Sequence[Annotator], *projects: str) -> None:
    """Everybody works on every project, one after the other, until nothing is left to do."""

    async def career(annotator: Annotator, order: Sequence[str]) -> None:
        for project in order:
            await annotator.work(project)

    async with asyncio.TaskGroup() as group:
        for number, annotator in enumerate(annotators):
            turn = number % len(projects)
            group.create_task(career(annotator, projects[turn:] + projects[:turn]))
