"""`annotation-budget logprobs` against the real application."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from app.exports.recipes.contrastive import LOG_PROBABILITIES, MADE_BY
from app.storage.sessions import Sessions
from app.storage.tables import Project
from tests.cli.test_cli import url
from tests.exports.dataset import add_prompt
from tests.support.api import ADMIN_KEY
from tests.training.command import command

__all__ = ["url"]  # a fixture
PROMPTS, RESPONSES = 3, 3
Command = Callable[..., Awaitable[tuple[int, str, str]]]
pytestmark = pytest.mark.filterwarnings("ignore")  # transformers warns about much that is not ours


@pytest.fixture
async def stored(client: httpx.AsyncClient, sessions: Sessions) -> None:
    await client.post("/projects", json={"name": "p"})
    async with sessions.begin() as session:
        project_id = (await session.scalars(select(Project.id).where(Project.name == "p"))).one()
        for number in range(PROMPTS):
            texts = [f"Answer {place} to {number}." for place in range(RESPONSES)]
            _, responses = await add_prompt(session, project_id, f"Question {number}?", texts)
            responses[0].response_metadata = {"source": "wiki"}


@pytest.fixture
def logprobs(url: str, tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command beside the service: its status, output and errors."""
    words = ["logprobs", "--model", tiny_model, "--url", url, "--key", ADMIN_KEY, "--device", "cpu"]

    async def run(*more: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = await asyncio.to_thread(command, *words, *more)
        return status, *capsys.readouterr()

    return run


async def metadata(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    listed = (await client.get("/prompts", params={"project": "p"})).json()["prompts"]
    prompts = [(await client.get(f"/prompts/{each['id']}")).json() for each in listed]
    return [each["metadata"] for prompt in prompts for each in prompt["responses"]]


async def test_numbers_and_labels_are_stored_and_kept_apart(
    logprobs: Command, stored: None, client: httpx.AsyncClient, tiny_model: Path
) -> None:
    status, told, error = await logprobs("--project", "p")
    assert status == 0, error
    assert "9 responses scored, 0 had their numbers already.\n" in told
    first = await metadata(client)
    assert all(set(LOG_PROBABILITIES) <= each.keys() for each in first)
    assert {each[MADE_BY] for each in first} == {f"{tiny_model} harmless"}
    assert [each.get("source") for each in first] == ["wiki", None, None] * PROMPTS

    status, told, error = await logprobs("--project", "p", "--label")
    assert status == 0, error
    assert "0 responses scored, 9 had their numbers already.\n" in told
    assert "3 prompts have an automatic label.\n" in told
    assert await metadata(client) == first
    rows = (await client.get("/exports/contrastive?project=p&labels=automatic")).content
    margins = [json.loads(line)["margin"] for line in rows.splitlines()]
    assert len(margins) == PROMPTS
    assert min(margins) > 0
    none = await client.get("/exports/contrastive?project=p")
    assert (none.status_code, none.content) == (200, b"")

    # Other prompts score again, and then replace what was there.
    status, told, error = await logprobs("--project", "p", "--about", "helpful")
    assert status == 0, error
    assert "9 responses scored, 0 had their numbers already.\n" in told
    assert await metadata(client) != first


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--about", "kind"), "--about kind: must be one of harmless, helpful"),
        (("--good", "Good: {}"), "--good and --bad go together"),
        (("--good", "Good: {}", "--bad", "Bad"), "--bad must have {} once"),
        (("--project", "nothing"), "no project has that name"),
    ],
)
async def test_what_does_not_serve_is_told(
    logprobs: Command, more: tuple[str, ...], message: str
) -> None:
    status, _, told = await logprobs(*more)
    assert status == 1
    assert message in told
