"""What annotators and admins are shown of tools and tool calls."""

from typing import Any

import httpx
import pytest
from sqlalchemy import update

from app.storage.tables import Prompt, Response
from tests.annotation.conftest import World
from tests.support.api import ClientFactory

Json = dict[str, Any]

SCHEMA: Json = {"name": "look", "parameters": {"b": 1, "a": 2}}
TOOLS: list[Json] = [{"type": "function", "function": SCHEMA}]
EMPTY: Json = {"name": "look", "arguments": "{}"}
CHAT: list[Json] = [
    {"role": "user", "content": "Where?"},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "function": EMPTY}]},
    {"role": "tool", "content": "here", "tool_call_id": "c1"},
]
WRITTEN: Json = {"name": "look", "arguments": '{"b": 1, "a": 2}'}
BROKEN: Json = {"name": "look", "arguments": "{broken"}
BY_A_MODEL: list[Json] = [
    {"id": "toolu_1", "type": "function", "function": WRITTEN},
    {"function": BROKEN},
]
READABLE: list[Json] = [
    {"type": "function", "function": {"name": "look", "arguments": {"b": 1, "a": 2}}},
    {"type": "function", "function": BROKEN},
]


@pytest.fixture
async def pair_with_tools(world: World) -> None:
    """One open pair, of a response with calls and one without."""
    await world.add_pairs(1, labels_wanted=2)
    async with world.sessions.begin() as session:
        await session.execute(update(Prompt).values(content=CHAT, tools=TOOLS, with_tools=True))
        with_calls = update(Response).where(Response.position == 0)
        await session.execute(with_calls.values(text="", tool_calls=BY_A_MODEL))


async def _sides(client: httpx.AsyncClient) -> tuple[Json, Json, Json]:
    """The pair, the side with calls, and the other."""
    (pair,) = (await client.get("/next-pairs")).json()["pairs"]
    left, right = pair["left"], pair["right"]
    return (pair, left, right) if "tool_calls" in left else (pair, right, left)


@pytest.mark.usefixtures("pair_with_tools")
async def test_an_annotator_reads_calls_that_do_not_tell_their_model(
    annotator_client: ClientFactory,
) -> None:
    ana = await annotator_client("ana")
    first = await _sides(ana)
    for pair, calling, other in (first, await _sides(ana)):
        assert (pair["prompt"], pair["tools"]) == (CHAT, TOOLS)
        assert set(calling) == {"response_id", "text", "tool_calls"}
        assert (calling["text"], calling["tool_calls"]) == ("", READABLE)
        assert set(other) == {"response_id", "text"}


@pytest.mark.usefixtures("pair_with_tools")
async def test_an_admin_reads_calls_as_they_were_sent(client: httpx.AsyncClient) -> None:
    pair, calling, _ = await _sides(client)
    assert (pair["prompt"], pair["tools"]) == (CHAT, TOOLS)
    assert calling["tool_calls"] == BY_A_MODEL
