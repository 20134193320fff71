"""Tool calls and tools through the calls of prompts: kept whole, and part of what identifies."""

from typing import Any

import httpx
import orjson
import pytest
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.prompts.incoming import incoming_prompts
from app.prompts.schemas import NewPrompt, PromptsBody
from app.settings import MAX_TEXT_CHARACTERS
from app.storage.tables import Prompt
from tests.prompts.sending import Json, as_lines, counts, fields, import_lines, prompt

Sessions = async_sessionmaker[AsyncSession]

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather of a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "b": {"type": "integer", "maximum": 3}},
                "required": ["city"],
            },
        },
    },
    {"name": "stop", "parameters": {}},
]


def call(arguments: Any, **more: Any) -> Json:
    return {"function": {"name": "get_weather", "arguments": arguments}, **more}


CHAT: list[Json] = [
    {"role": "user", "content": "Weather?", "name": "ana"},
    {"role": "assistant", "content": None, "tool_calls": [call('{"city":  "Rome"}', id="c1")]},
    {"role": "tool", "content": "", "tool_call_id": "c1", "name": "get_weather"},
    {"role": "assistant", "tool_calls": [call({"city": "Rome", "b": 2.5}), call("{broken")]},
    {"role": "tool", "content": "rain"},
]
OSTIA = call({"city": "Ostia", "b": 1}, id="x", type="function")
RESPONSES: list[Json] = [
    {"id": "calls", "text": "", "tool_calls": [OSTIA]},
    {"id": "both", "text": "Hm.", "tool_calls": [call({"zz": 1, "a": {"b": [None, True, 1e-7]}})]},
    {"id": "text", "text": "It rains."},
]  # fmt: skip


def with_calls(**more: Any) -> Json:
    return {"prompt": CHAT, "tools": TOOLS, "responses": RESPONSES, **more}


async def _post(client: httpx.AsyncClient, sent: Json) -> Json:
    answer = await client.post("/prompts", json=sent)
    assert answer.status_code == 201, answer.text
    taken: Json = answer.json()["prompts"][0]
    return taken


async def test_messages_calls_and_tools_come_back_as_they_were_sent(
    client: httpx.AsyncClient,
) -> None:
    taken = await _post(client, with_calls())
    found = (await client.get(f"/prompts/{taken['id']}")).json()
    assert found["prompt"] == CHAT
    assert [(each["text"], each["tool_calls"]) for each in found["responses"]] == [
        ("", RESPONSES[0]["tool_calls"]),
        ("Hm.", RESPONSES[1]["tool_calls"]),
        ("It rains.", None),
    ]
    # The order of keys too: templates print them in it.
    assert orjson.dumps(found["tools"]) == orjson.dumps(TOOLS)
    for each, sent in zip(found["responses"][:2], RESPONSES[:2], strict=True):
        assert orjson.dumps(each["tool_calls"]) == orjson.dumps(sent["tool_calls"])
    listed = (await client.get("/prompts")).json()["prompts"][0]
    assert (listed["prompt"], listed["tools"]) == (CHAT, TOOLS)


async def test_a_line_of_an_import_is_taken_as_a_request_is(client: httpx.AsyncClient) -> None:
    lines = as_lines([with_calls(), with_calls(prompt=CHAT[:4])])
    report = await import_lines(client, lines)
    assert (report["created"], report["rejected_count"]) == (1, 1)
    assert report["rejected"][0]["detail"] == (
        "prompt: must end with the turn of the user or of a tool"
    )
    assert (await client.post("/prompts", json=with_calls())).json()["unchanged"] == 1
    assert (await import_lines(client, lines))["unchanged"] == 1


async def test_what_is_null_or_an_empty_list_is_as_left_out(client: httpx.AsyncClient) -> None:
    turn = {"role": "user", "content": "x", "tool_calls": None, "tool_call_id": None, "name": None}
    taken = await _post(client, prompt(content=[turn], tools=[]))
    found = (await client.get(f"/prompts/{taken['id']}")).json()
    assert (found["prompt"], found["tools"]) == ([{"role": "user", "content": "x"}], None)
    again = prompt(content=[{"role": "user", "content": "x"}])
    assert (await client.post("/prompts", json=again)).json()["unchanged"] == 1


async def test_a_text_may_be_left_out_beside_calls(client: httpx.AsyncClient) -> None:
    responses = [{"tool_calls": [call({})]}, {"text": None, "tool_calls": [call({"a": 1})]}]
    taken = await _post(client, {"prompt": "x", "responses": responses})
    found = (await client.get(f"/prompts/{taken['id']}")).json()
    assert [each["text"] for each in found["responses"]] == ["", ""]


async def test_empty_and_repeated_are_judged_on_text_and_calls(client: httpx.AsyncClient) -> None:
    sent = [
        {"id": "one", "text": "", "tool_calls": [call({"city": "Rome"}, id="1")]},
        {"id": "same call", "text": " ", "tool_calls": [call('{"city": "Rome"}', id="2")]},
        {"id": "text too", "text": "Look:", "tool_calls": [call({"city": "Rome"})]},
        {"id": "text alone", "text": "Look:"},
        {"id": "nothing", "text": " ", "tool_calls": []},
    ]
    taken = await _post(client, {"prompt": "x", "responses": sent})
    kept = [each["external_id"] for each in taken["responses"]]
    assert kept == ["one", "text too", "text alone"]
    assert taken["dropped"] == [
        {"external_id": "same call", "reason": "duplicate"},
        {"external_id": "nothing", "reason": "empty"},
    ]


@pytest.mark.parametrize("name", [None, "p"])
async def test_the_same_prompt_again_is_recognised(
    client: httpx.AsyncClient, name: str | None
) -> None:
    named = {} if name is None else {"id": name}
    taken = await _post(client, with_calls(**named))
    added = {"responses": [{"text": "", "tool_calls": [call({"city": "Bari", "b": 1e16})]}]}
    await client.post(f"/prompts/{taken['id']}/responses", json=added)
    for again in (with_calls(**named), with_calls(**named)):
        answer = (await client.post("/prompts", json=again)).json()
        assert answer["unchanged"] == 1
        assert answer["prompts"][0]["id"] == taken["id"]


async def test_other_calls_or_tools_are_another_prompt(client: httpx.AsyncClient) -> None:
    await _post(client, with_calls(id="p"))
    await _post(client, with_calls())
    other_turn = [
        CHAT[0],
        {**CHAT[1], "tool_calls": [call('{"city":  "Pisa"}', id="c1")]},
        *CHAT[2:],
    ]
    other_type = [
        *CHAT[:3],
        {**CHAT[3], "tool_calls": [call({"city": "Rome", "b": True})]},
        CHAT[4],
    ]
    others: dict[str, list[Json]] = {
        "prompt": [{"prompt": other_turn}, {"prompt": other_type}],
        "tools": [{"tools": None}, {"tools": TOOLS[:1]}],
        "responses": [
            {"responses": [RESPONSES[0] | {"tool_calls": [call({})]}, *RESPONSES[1:]]},
            {"responses": [RESPONSES[0], {"text": "Hm."}, RESPONSES[2]]},
        ],
    }  # fmt: skip
    for field, changes in others.items():
        for change in changes:
            refused = await client.post("/prompts", json=with_calls(id="p") | change)
            assert refused.status_code == 409
            assert fields(refused) == [["body", field]]
            fresh = await client.post("/prompts", json=with_calls() | change)
            assert fresh.json()["created"] == 1


async def test_responses_that_are_added_are_told_apart_by_their_calls(
    client: httpx.AsyncClient,
) -> None:
    taken = await _post(client, prompt("", "It rains.", responses=RESPONSES[1:]))
    path = f"/prompts/{taken['id']}/responses"
    first = (await client.post(path, json={"responses": [RESPONSES[0]]})).json()
    assert first["created"] == 1
    again = {**RESPONSES[0], "id": None, "tool_calls": [call('{"b": 1, "city": "Ostia"}')]}
    second = (await client.post(path, json={"responses": [RESPONSES[0], again]})).json()
    assert (second["created"], second["unchanged"]) == (0, 1)
    assert second["dropped"] == [{"external_id": None, "reason": "duplicate"}]
    third = {**RESPONSES[0], "tool_calls": [call({"city": "Elba"})]}
    assert (await client.post(path, json={"responses": [third]})).status_code == 409


def test_a_prompt_without_calls_has_the_fingerprint_it_always_had() -> None:
    sent = [
        NewPrompt.model_validate(prompt("a", "b ", content=content))
        for content in ("Héllo", [{"role": "user", "content": "x"}])
    ]
    assert [each.fingerprint.hex() for each in incoming_prompts(sent)] == [
        "0ddca687f768e82ce86ec956fe774e928470b8263d3aeaabe1e489d9bd14d7cb",
        "6dbe86320366daa954c3c6104f18eee9f4d347a9daf70eb207a9a6b7f336a3e7",
    ]


async def _marked(sessions: Sessions) -> list[str | None]:
    async with sessions() as session:
        rows = await session.scalars(
            select(Prompt.external_id).where(Prompt.with_tools).order_by(Prompt.id)
        )
        return list(rows)


async def test_prompts_that_no_plain_string_can_hold_are_marked(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    calling = {"responses": [RESPONSES[0], RESPONSES[2]]}
    for sent in (
        prompt(id="plain"),
        prompt(id="tools", tools=TOOLS),
        prompt(id="turn", content=CHAT),
        prompt(id="name", content=CHAT[:1]),
        prompt(id="response") | calling,
        prompt(id="added"),
        prompt(id="plain too", content=[{"role": "user", "content": "x"}]),
    ):
        taken = await _post(client, sent)
        if sent["id"].startswith(("added", "plain")):
            more = RESPONSES[0] if sent["id"] == "added" else RESPONSES[2]
            answer = await client.post(
                f"/prompts/{taken['id']}/responses", json={"responses": [more]}
            )
            assert answer.json()["created"] == 1
    assert await _marked(sessions) == ["tools", "turn", "name", "response", "added"]


DEEP: Any = 1
for _ in range(64):
    DEEP = {"x": DEEP}
USER = {"role": "user", "content": "x"}


def _turn(**more: Any) -> Json:
    return prompt(content=[{"role": "assistant", "content": "x", **more}, USER])


def _said(**more: Any) -> Json:
    return prompt(responses=[{"text": "a", **more}, {"text": "b"}])


REFUSED: dict[str, tuple[Json, list[str | int], str]] = {
    "an image": (
        prompt(content=[{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]),
        ["prompt", 0, "content"],
        "this service shows text only",
    ),
    "parts of text": (
        prompt(content=[{"role": "user", "content": [{"type": "text", "text": "x"}]}]),
        ["prompt", 0, "content"],
        "join the texts",
    ),
    "audio in a turn": (_turn(audio={"id": "a"}), ["prompt", 0, "audio"], "text only"),
    "images of a prompt": (prompt(images=["x"]), ["images"], "text only"),
    "the older form of calls": (
        _turn(function_call={"name": "f", "arguments": "{}"}),
        ["prompt", 0, "function_call"],
        "send `tool_calls`",
    ),
    "the older form of tools": (prompt(functions=[]), ["functions"], "send `tools`"),
    "an unknown field": (_turn(weight=1), ["prompt", 0, "weight"], "not permitted"),
    "no content and no call": (
        prompt(content=[{"role": "assistant", "tool_calls": []}, USER]),
        ["prompt", 0, "content"],
        "only a turn with tool calls",
    ),
    "a user without a content": (
        prompt(content=[{"role": "user", "content": None}]),
        ["prompt", 0, "content"],
        "must be a string",
    ),
    "calls of a user": (
        prompt(content=[{"role": "user", "content": "x", "tool_calls": [call({})]}]),
        ["prompt", 0, "tool_calls"],
        "only an assistant's turn",
    ),
    "the id of a call elsewhere": (
        _turn(tool_call_id="c"),
        ["prompt", 0, "tool_call_id"],
        "only a tool's turn",
    ),
    "an end with calls": (
        prompt(content=[USER, {"role": "assistant", "tool_calls": [call({})]}]),
        ["prompt"],
        "must end with the turn of the user or of a tool",
    ),
    "calls that are text": (_said(tool_calls="[]"), ["responses", 0, "tool_calls"], "list"),
    "a call without a function": (
        _said(tool_calls=[{"name": "f", "arguments": {}}]),
        ["responses", 0, "tool_calls", 0, "function"],
        "required",
    ),
    "arguments that are a list": (
        _said(tool_calls=[call([1])]),
        ["responses", 0, "tool_calls", 0, "function", "arguments"],
        "an object, or a string",
    ),
    "a call of another type": (
        _said(tool_calls=[call({}, type="custom")]),
        ["responses", 0, "tool_calls", 0, "type"],
        "function",
    ),
    "calls nested too deeply": (
        _said(tool_calls=[call(DEEP)]),
        ["responses", 0, "tool_calls"],
        "64 levels",
    ),
    "a number that would change": (
        _said(tool_calls=[call({"x": 1e300})]),
        ["responses", 0, "tool_calls"],
        "send it as a string",
    ),
    "tools without a name": (
        prompt(tools=[{"type": "function", "function": {}}]),
        ["tools"],
        "has no name",
    ),
    "tools that are text": (prompt(tools="[]"), ["tools"], "list"),
    "calls over the limit": (
        _said(tool_calls=[call("x" * MAX_TEXT_CHARACTERS)]),
        ["responses", 0, "tool_calls"],
        "characters",
    ),
    "turns over the limit with their calls": (
        _turn(tool_calls=[call("x" * MAX_TEXT_CHARACTERS)]),
        ["prompt"],
        "characters",
    ),
    "tools over the limit with the prompt": (
        prompt(content="x" * 60_000, tools=[{"name": "f", "description": "y" * 40_000}]),
        ["tools"],
        "characters",
    ),
}

_body: TypeAdapter[Any] = TypeAdapter(PromptsBody)


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_taken_is_refused_in_plain_words(case: str) -> None:
    body, place, words = REFUSED[case]
    with pytest.raises(ValidationError) as refusal:
        _body.validate_python(body)
    told = {error["loc"]: error["msg"] for error in refusal.value.errors()}
    assert words in told[tuple(place)]


async def test_a_refusal_is_a_problem_and_nothing_is_stored(client: httpx.AsyncClient) -> None:
    for case, (body, place, _) in REFUSED.items():
        answer = await client.post("/prompts", json=body)
        assert answer.status_code == 422, case
        assert ["body", *place] in fields(answer), case
    assert (await counts(client))["prompts"] == 0


@pytest.mark.parametrize("character", ["\\u0000", "\\ud83d"])
async def test_characters_that_cannot_be_stored_are_refused_in_calls_too(
    client: httpx.AsyncClient, character: str
) -> None:
    for sent in (
        _said(tool_calls=[call({"x": ["@"]})]),
        _said(tool_calls=[call({"@": 1})]),
        _turn(tool_calls=[call("@")]),
        prompt(tools=[{"name": "f", "@": 1}]),
    ):
        answer = await client.post(
            "/prompts",
            content=orjson.dumps(sent).replace(b"@", character.encode()),
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code == 422
