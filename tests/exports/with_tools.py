"""Labelled prompts with tools and tool calls, stored over HTTP."""

from typing import Any

import httpx
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from tests.exports.dataset import embed

Json = dict[str, Any]

TOOLS: list[Json] = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather of a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "b": {"type": "integer"}},
                "required": ["city"],
            },
        },
    }
]
OTHER_TOOLS: list[Json] = [{"name": "stop", "parameters": {"properties": {}}}]


def call(arguments: Any, **more: Any) -> Json:
    return {"function": {"name": "get_weather", "arguments": arguments}, **more}


def asked(content: str) -> Json:
    return {"role": "user", "content": content}


CALLING: list[Json] = [
    {"role": "system", "content": "Be brief."},
    asked("Rome?"),
    {"role": "assistant", "content": None, "tool_calls": [call({"city": "Rome"}, id="c1")]},
    {"role": "tool", "content": "rain", "tool_call_id": "c1", "name": "get_weather"},
]
OSTIA: Json = {"text": "", "tool_calls": [call({"city": "Ostia", "b": 1}, id="x", type="function")]}
PARIS: Json = {"text": "", "tool_calls": [call('{"city": "Paris"}')]}
RAIN: Json = {"text": "It rains."}
PROMPTS: dict[str, Json] = {
    "plain": {"prompt": "Name a planet.", "responses": [{"text": "Mars"}, {"text": "Pluto"}]},
    "chat": {"prompt": [asked("Name a moon.")], "responses": [{"text": "Io"}, {"text": "X"}]},
    "tools": {"prompt": "Ostia?", "tools": TOOLS, "responses": [OSTIA, RAIN]},
    "turns": {"prompt": CALLING, "tools": OTHER_TOOLS, "responses": [RAIN, PARIS]},
    "calls": {"prompt": [asked("Paris?")], "responses": [PARIS, OSTIA]},
    "both": {
        "prompt": [asked("Hm?")],
        "responses": [{"text": "Let me look.", "tool_calls": PARIS["tool_calls"]}, RAIN],
    },
}
"""By their ids. The first response is the better one."""


async def store_labelled(
    client: httpx.AsyncClient,
    sessions: async_sessionmaker[AsyncSession],
    prompts: dict[str, Json],
    project: str = "p",
) -> dict[str, str]:
    """Store prompts in a new project, planned and embedded, and a label of each; their ids."""
    assert (await client.post("/projects", json={"name": project})).status_code == 201
    query = {"project": project}
    body = {"prompts": [{"id": name, **sent} for name, sent in prompts.items()]}
    answer = await client.post("/prompts", params=query, json=body)
    assert answer.status_code == 201, answer.text
    async with sessions.begin() as session:
        await session.execute(text("UPDATE prompts SET group_id = id WHERE group_id IS NULL"))
        await embed(session, project)
    taken = answer.json()["prompts"]
    labels = [
        {
            "prompt_id": each["id"],
            "preferred": each["responses"][0]["id"],
            "rejected": each["responses"][1]["id"],
        }
        for each in taken
    ]
    labelled = await client.post("/labels", params=query, json={"labels": labels})
    assert labelled.status_code == 201, labelled.text
    return {each["external_id"]: each["id"] for each in taken}
