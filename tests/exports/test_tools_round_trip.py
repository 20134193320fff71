"""Whatever messages, calls and tools are posted: they come back whole, one by one and exported."""

import io
import json
import secrets
from typing import Any

import httpx
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.formats.tool_calls import is_same, said
from tests.exports.with_tools import Json, store_labelled

texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12
) | st.sampled_from(
    ["\n\nuser: x", "\n\nassistant:", '{"a": 1}', '{"a": "\\u0000\\ud800"}', "\\u0000", " "]
)
names = texts.filter(bool)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(-1e18, 1e18) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
objects = st.dictionaries(texts, values, max_size=3)
calls = st.lists(
    st.fixed_dictionaries(
        {
            "function": st.fixed_dictionaries(
                {"name": names, "arguments": texts | objects | objects.map(json.dumps)}
            )
        },
        optional={"id": names | st.none(), "type": st.just("function")},
    ),
    min_size=1,
    max_size=2,
)
tools = st.lists(
    st.builds(lambda name, more: {**more, "function": {"name": f"x{name}"}}, names, objects),
    min_size=1,
    max_size=2,
)


def _turn(role: str, content: Any = texts, **optional: Any) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries(
        {"role": st.just(role), "content": content}, optional={"name": names, **optional}
    )


calling = st.fixed_dictionaries(
    {"role": st.just("assistant"), "tool_calls": calls},
    optional={"content": st.none() | texts, "name": names},
)
last = _turn("user", texts.map("?".__add__)) | _turn("tool", tool_call_id=names)
chats = st.builds(
    lambda turns, end: [{"role": "user", "content": "Go."}, *turns, end],
    st.lists(_turn("system") | _turn("assistant") | calling | _turn("tool"), max_size=3),
    last,
)
responses = st.fixed_dictionaries({"text": texts}, optional={"tool_calls": calls})


def _says_two_things(pair: list[Json]) -> bool:
    both = [said(each["text"], each.get("tool_calls")) for each in pair]
    return all(both) and both[0] != both[1]


prompts = st.fixed_dictionaries(
    {
        "prompt": chats,
        "responses": st.lists(responses, min_size=2, max_size=2).filter(_says_two_things),
    },
    optional={"tools": tools},
)


def _message(response: Json) -> Json:
    more = {"tool_calls": response["tool_calls"]} if "tool_calls" in response else {}
    return {"role": "assistant", "content": response["text"], **more}


def _from_json(cell: Any) -> Any:
    return None if cell is None else [json.loads(each) for each in cell]


@given(st.lists(prompts, min_size=1, max_size=4))
@settings(
    max_examples=40,
    deadline=None,
    # Every example stores into a project of its own.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_what_is_posted_comes_back_whole(
    client: httpx.AsyncClient, sessions: async_sessionmaker[AsyncSession], drawn: list[Json]
) -> None:
    project = secrets.token_hex(8)
    for number, each in enumerate(drawn):
        # Labels of prompts with the same text would be judged together.
        each["prompt"] = [{"role": "user", "content": f"Go {number}."}, *each["prompt"][1:]]
    sent = {f"{number}": each for number, each in enumerate(drawn)}
    ids = await store_labelled(client, sessions, sent, project)
    for name, public_id in ids.items():
        found = (await client.get(f"/prompts/{public_id}")).json()
        assert is_same(found["prompt"], sent[name]["prompt"])
        assert json.dumps(found["tools"]) == json.dumps(sent[name].get("tools"))
        assert json.dumps([each["tool_calls"] for each in found["responses"]]) == json.dumps(
            [each.get("tool_calls") for each in sent[name]["responses"]]
        )
    again = {"prompts": [{"id": name, **each} for name, each in sent.items()]}
    answer = await client.post("/prompts", params={"project": project}, json=again)
    assert answer.json()["unchanged"] == len(sent)

    has_tools = any("tools" in each for each in drawn)
    expected = [
        {
            "prompt": each["prompt"],
            "chosen": [_message(each["responses"][0])],
            "rejected": [_message(each["responses"][1])],
        }
        | ({"tools": each.get("tools")} if has_tools else {})
        for each in drawn
    ]
    query = httpx.QueryParams(project=project, layout="conversational")
    lines = (await client.get("/exports/dpo", params=query)).content.splitlines()
    assert is_same([json.loads(line) for line in lines], expected)
    table = (await client.get("/exports/dpo", params=query.set("file", "parquet"))).content
    rows = pq.read_table(io.BytesIO(table)).to_pylist()
    if isinstance(rows[0]["prompt"][0], str):
        rows = [{name: _from_json(cell) for name, cell in row.items()} for row in rows]
    assert is_same(rows, expected)
