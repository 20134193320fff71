"""The service over an upgraded database answers what the earlier version answered."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from fastapi import FastAPI

from app.main import create_app
from app.settings import Settings
from tests.support.api import client_of
from tests.upgrade.released import answers

CUE: Final = re.compile(r"\s*assistant:\s*")
"""With it, a chat prompt that an export renders to a string ends; 0.1.0 wrote none."""


@pytest.fixture(scope="module")
def told(release: str) -> dict[str, Any]:
    """What the release answered."""
    return answers(release)


@pytest.fixture
async def upgraded(upgraded_url: str, tmp_path: Path) -> AsyncIterator[FastAPI]:
    """The application over the upgraded database."""
    settings = Settings.model_validate({"database_url": upgraded_url, "data_dir": tmp_path})
    application = create_app(settings)
    async with application.router.lifespan_context(application):
        yield application


@pytest.fixture
async def admin(upgraded: FastAPI, told: dict[str, Any]) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the key that the admin had."""
    async with client_of(upgraded, told["keys"]["admin"]) as client:
        yield client


def assert_within(old: Any, now: Any, where: str = "") -> None:
    """Everything that was answered is answered again; there may be more fields now."""
    if isinstance(old, dict):
        assert isinstance(now, dict), where
        for name, value in old.items():
            assert name in now, f"{where}.{name}"
            assert_within(value, now[name], f"{where}.{name}")
    elif isinstance(old, list):
        assert isinstance(now, list), where
        assert len(now) == len(old), where
        for index, (before, after) in enumerate(zip(old, now, strict=True)):
            assert_within(before, after, f"{where}.{index}")
    elif isinstance(old, float):
        # Margins of a fitted model differ in their last digits from machine to machine.
        assert now == pytest.approx(old, rel=1e-6, abs=1e-9), where
    else:
        assert now == old, where


async def get(client: httpx.AsyncClient, path: str) -> Any:
    answer = await client.get(path)
    assert answer.status_code == 200, (path, answer.text)
    return answer.json()


async def test_every_key_does_what_it_did(upgraded: FastAPI, told: dict[str, Any]) -> None:
    statuses = {}
    for name, key in told["keys"].items():
        async with client_of(upgraded, key) as client:
            paths = ("/projects", "/labels?project=chat")
            statuses[name] = [(await client.get(path)).status_code for path in paths]
    assert statuses == {
        "admin": [200, 200],
        "second-admin": [200, 200],
        "ana": [200, 200],
        "bob": [200, 200],
        "eve": [401, 401],
        "late": [200, 404],
    }


async def test_listings_are_what_they_were(admin: httpx.AsyncClient, told: dict[str, Any]) -> None:
    assert_within(told["projects"], (await get(admin, "/projects"))["projects"])
    assert_within(told["annotators"], (await get(admin, "/annotators"))["annotators"])
    for kind in ("prompts", "labels"):
        for project, old in told[kind].items():
            now = await get(admin, f"/{kind}?project={project}&limit=1000")
            assert_within(old, now[kind], f"{kind} of {project}")


async def test_held_assignments_are_there_and_can_be_answered(
    upgraded: FastAPI, told: dict[str, Any]
) -> None:
    assert len(told["held"]) >= 5
    for each in told["held"]:
        async with client_of(upgraded, told["keys"][each["by"]]) as client:
            path = f"/next-pairs?project={each['project']}&budget=1"
            old = {name: value for name, value in each["pair"].items() if name != "expires_at"}
            assert_within(old, (await get(client, path))["pairs"][0], str(each["project"]))
            label = {"assignment_id": old["assignment_id"], "choice": "left", "seconds": 3}
            answer = await client.post("/labels", json=label)
            assert answer.status_code == 201, answer.text
            (stored,) = answer.json()["labels"]
            assert stored["preferred_response_id"] == old["left"]["response_id"]
            assert stored["status"] == "counted"


def as_now(row: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """A row of the release's export as this version is meant to write it."""
    old_prompt, prompt = row.get("prompt"), now.get("prompt")
    if isinstance(old_prompt, str) and isinstance(prompt, str):
        is_chat = old_prompt.startswith(("system: ", "user: "))
        if is_chat and prompt.startswith(old_prompt) and CUE.fullmatch(prompt, len(old_prompt)):
            return row | {"prompt": prompt}
    return row


async def test_exports_give_the_rows_that_they_gave(
    admin: httpx.AsyncClient, told: dict[str, Any]
) -> None:
    assert len(told["exports"]) >= 10
    for export in told["exports"]:
        path = f"/exports/{export['recipe']}?project={export['project']}&{export['query']}"
        answer = await admin.get(path)
        assert answer.status_code == 200, answer.text
        old = [json.loads(line) for line in export["rows"]]
        now = [json.loads(line) for line in answer.text.splitlines()]
        assert len(now) == len(old), path
        for before, after in zip(old, now, strict=True):
            assert_within(as_now(before, after), after, path)
