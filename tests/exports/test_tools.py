"""Prompts with tools and tool calls: whole in the files that can hold them, counted otherwise."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.exports.queries.pairs import Source
from app.exports.queries.tools import select_groups
from app.exports.recipe import Layout, Tools
from app.exports.recipes import RECIPES
from tests.exports.with_tools import (
    CALLING,
    OSTIA,
    OTHER_TOOLS,
    PARIS,
    PROMPTS,
    RAIN,
    TOOLS,
    Json,
    asked,
    call,
    store_labelled,
)
from tests.support.indexes import indexes

Sessions = async_sessionmaker[AsyncSession]
HEADER = "X-Prompts-With-Tools-Left-Out"
PLAIN = {name: PROMPTS[name] for name in ("plain", "chat")}


async def _export(client: httpx.AsyncClient, recipe: str, **query: Any) -> httpx.Response:
    answer = await client.get(f"/exports/{recipe}", params={"project": "p", **query})
    assert answer.status_code == 200, answer.text
    return answer


def _rows(answer: httpx.Response) -> list[Json]:
    return [json.loads(line) for line in answer.content.splitlines()]


def _said(response: Json) -> list[Json]:
    """A response as the assistant's message."""
    message = {"role": "assistant", "content": response["text"]}
    calls = response.get("tool_calls")
    return [message if calls is None else {**message, "tool_calls": calls}]


def _row(name: str) -> Json:
    """What `dpo` gives of a prompt in the conversational layout."""
    sent = PROMPTS[name]
    prompt = sent["prompt"]
    return {
        "prompt": [asked(prompt)] if isinstance(prompt, str) else prompt,
        "chosen": _said(sent["responses"][0]),
        "rejected": _said(sent["responses"][1]),
        "tools": sent.get("tools"),
    }


async def test_the_conversational_layout_holds_messages_and_tools_whole(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    await store_labelled(client, sessions, PROMPTS)
    answer = await _export(client, "dpo", layout="conversational")
    assert _rows(answer) == [_row(name) for name in PROMPTS]
    assert answer.headers[HEADER] == "0"
    # The order of keys too, in which templates print them.
    lines = answer.content.splitlines()
    assert json.dumps(TOOLS, separators=(",", ":")).encode() in lines[2]
    assert json.dumps(OSTIA["tool_calls"], separators=(",", ":")).encode() in lines[2]


@pytest.mark.parametrize("layout", Layout)
async def test_a_project_without_tools_has_the_files_it_always_had(
    client: httpx.AsyncClient, sessions: Sessions, layout: str
) -> None:
    await store_labelled(client, sessions, PLAIN)
    answer = await _export(client, "dpo", layout=layout, file="parquet")
    schema = pq.read_schema(io.BytesIO(answer.content))
    assert schema.names == ["prompt", "chosen", "rejected"]
    message = pa.struct([("role", pa.string()), ("content", pa.string())])
    expected = pa.string() if layout == "standard" else pa.list_(message)
    assert [field.type for field in schema] == [expected] * 3


async def test_calls_without_tools_need_no_column(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    await store_labelled(client, sessions, {"calls": PROMPTS["calls"]})
    (row,) = _rows(await _export(client, "dpo", layout="conversational"))
    assert list(row) == ["prompt", "chosen", "rejected"]
    assert row["chosen"] == _said(PARIS)


async def test_the_standard_layout_leaves_such_prompts_out_and_says_how_many(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    await store_labelled(client, sessions, PROMPTS)
    answer = await _export(client, "dpo")
    assert _rows(answer) == [
        {"prompt": "Name a planet.", "chosen": "Mars", "rejected": "Pluto"},
        {"prompt": "user: Name a moon.\n\nassistant:", "chosen": "Io", "rejected": "X"},
    ]
    assert answer.headers[HEADER] == "4"
    # A split without rows has no file, and so no counts: all in one split.
    query = httpx.QueryParams(project="p", test_fraction=0)
    bundle = await client.get("/exports/dpo/bundle", params=query)
    assert bundle.headers[HEADER] == "4"
    with zipfile.ZipFile(io.BytesIO(bundle.content)) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        card = archive.read("README.md").decode()
    counts = [each["counts"] for each in manifest["files"] if "counts" in each]
    assert sum(each["prompts_with_tools"] for each in counts) == 4
    assert sum(each["pairs_with_tools"] for each in counts) == 4
    assert sum(each["labelled_pairs"] for each in counts) == 6
    assert sum(each["preferred_pairs"] for each in counts) == 2
    assert manifest["prompts_with_tools_left_out"] == 4
    assert manifest["recipe"]["columns"] == ["prompt", "chosen", "rejected"]
    assert "4 prompts with tools or tool calls that these files cannot hold" in card


async def test_only_labelled_prompts_of_the_split_are_told(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    ids = await store_labelled(client, sessions, PROMPTS)
    assert (await client.delete(f"/prompts/{ids['both']}")).status_code == 204
    unlabelled = PROMPTS["both"] | {"id": "unlabelled"}
    await client.post("/prompts", params={"project": "p"}, json=unlabelled)
    told = {
        split: int((await _export(client, "dpo", split=split, test_fraction=0.5)).headers[HEADER])
        for split in ("all", "train", "test")
    }
    assert told["all"] == 3
    assert told["train"] + told["test"] == 3


NEEDED: dict[str, str] = {
    "bridged": "UPDATE labels SET edited = 'better' WHERE id IN (SELECT min(id) FROM labels)",
    "contrastive": 'UPDATE responses SET metadata = \'{"logprob_safe": 1, "logprob_unsafe": 2}\'',
    "self-exploring": "UPDATE responses SET reference = true WHERE position = 0",
}


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("file", ["jsonl", "parquet"])
async def test_every_recipe_holds_such_prompts_or_counts_them(
    client: httpx.AsyncClient, sessions: Sessions, file: str, layout: Layout
) -> None:
    ids = await store_labelled(client, sessions, PROMPTS)
    with_tools = {ids[name] for name in ("tools", "turns", "calls", "both")}
    async with sessions.begin() as session:
        for statement in NEEDED.values():
            await session.execute(text(statement))
    for recipe in RECIPES.values():
        answer = await _export(client, recipe.name, layout=layout, file=file, metadata=True)
        if file == "parquet":
            rows = pq.read_table(io.BytesIO(answer.content)).to_pylist()
        else:
            rows = _rows(answer)
        found = {row.get("prompt_id") or row["meta"]["prompt_id"] for row in rows}
        held = set()
        if recipe.tools is Tools.IN_STRINGS:
            held = {ids[name] for name in ("tools", "turns", "calls")}
        elif recipe.tools is Tools.IN_MESSAGES and layout is Layout.CONVERSATIONAL:
            held = with_tools
        # Rewards may contradict a label here, and then `reward-augmented` gives no row.
        assert found & with_tools <= held, recipe.name
        if recipe.name != "reward-augmented":
            assert found & with_tools == held, recipe.name
        assert int(answer.headers[HEADER]) == len(with_tools - held), recipe.name
        assert all(("tools" in row) == bool(held) for row in rows), recipe.name


async def test_kto_tells_responses_apart_by_their_calls(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    await store_labelled(client, sessions, {"calls": PROMPTS["calls"]})
    assert _rows(await _export(client, "kto", layout="conversational")) == [
        {"prompt": [asked("Paris?")], "completion": _said(PARIS), "label": True},
        {"prompt": [asked("Paris?")], "completion": _said(OSTIA), "label": False},
    ]


async def test_llama_factory_gets_calls_and_tools_as_its_own_roles_and_strings(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    ids = await store_labelled(client, sessions, PROMPTS)
    assert len(ids) == 6
    rows = {
        row["prompt_external_id"]: row
        for row in _rows(await _export(client, "llama-factory", metadata=True))
    }
    assert list(rows) == ["plain", "chat", "tools", "turns", "calls"]
    turns = rows["turns"]
    paris = {"name": "get_weather", "arguments": {"city": "Paris"}}
    assert turns["conversations"] == [
        {"from": "system", "value": "Be brief."},
        {"from": "human", "value": "Rome?"},
        {"from": "function_call", "value": '{"name":"get_weather","arguments":{"city":"Rome"}}'},
        {"from": "observation", "value": "rain"},
    ]
    assert turns["chosen"] == {"from": "gpt", "value": "It rains."}
    assert turns["rejected"]["from"] == "function_call"
    assert json.loads(turns["rejected"]["value"]) == paris
    assert json.loads(turns["tools"]) == OTHER_TOOLS
    assert rows["plain"]["tools"] is None


CALL = CALLING[2]
RESULT = CALLING[3]


@pytest.mark.parametrize(
    ("turns", "responses"),
    [
        ([asked("x"), CALL | {"content": "I look."}, RESULT], [RAIN, PARIS]),
        ([asked("x"), CALL, RESULT, RESULT], [RAIN, PARIS]),
        ([asked("x"), CALL, RESULT, asked("y")], [RAIN, PARIS]),
        ([asked("x"), CALL, CALL, RESULT], [RAIN, PARIS]),
        ([asked("x") | {"name": "ana"}], [RAIN, {"text": "Sun."}]),
        ([asked("x")], [RAIN, {"text": "", "tool_calls": [call("{broken")]}]),
        ([asked("x")], [RAIN, {"text": "Sun.", "tool_calls": PARIS["tool_calls"]}]),
    ],
)  # fmt: skip
async def test_what_llama_factory_cannot_say_is_left_out(
    client: httpx.AsyncClient, sessions: Sessions, turns: list[Json], responses: list[Json]
) -> None:
    sent = {"prompt": turns, "responses": responses}
    await store_labelled(client, sessions, {"odd": sent, "plain": PROMPTS["plain"]})
    answer = await _export(client, "llama-factory")
    assert [row["chosen"]["value"] for row in _rows(answer)] == ["Mars"]
    assert answer.headers[HEADER] == "1"


async def test_pairs_that_make_the_same_call_are_no_pair(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    """As `POST /prompts` would drop one of them, but an earlier version may have stored both."""
    ids = await store_labelled(client, sessions, {"calls": PROMPTS["calls"]})
    async with sessions.begin() as session:
        calls = json.dumps([each | {"id": "other"} for each in PARIS["tool_calls"]])
        await session.execute(
            text("UPDATE responses SET tool_calls = CAST(:calls AS json)"), {"calls": calls}
        )
    assert ids
    assert _rows(await _export(client, "dpo", layout="conversational")) == []


async def test_prompts_with_tools_are_found_by_an_index_of_their_own(
    client: httpx.AsyncClient, sessions: Sessions
) -> None:
    await store_labelled(client, sessions, PROMPTS)
    async with sessions() as session:
        await session.execute(
            text(
                "INSERT INTO prompts (project_id, content, fingerprint, status, pairs_total)"
                " SELECT project_id, '\"x\"', int8send(n), 'ready', 0"
                " FROM (SELECT project_id FROM prompts LIMIT 1), generate_series(1, 5000) AS n"
            )
        )
        await session.execute(text("ANALYZE prompts, labels"))
        project_id = await session.scalar(text("SELECT max(project_id) FROM prompts"))
        assert project_id is not None
        statement = select_groups(Source(project_id, surplus=True)).compile(
            dialect=session.get_bind().dialect, compile_kwargs={"literal_binds": True}
        )
        assert "ix_prompts_with_tools" in await indexes(session, text(str(statement)), {})


def _load(path: Path, file: str, folder: Path) -> Any:
    kind = {"jsonl": "json", "parquet": "parquet"}[file]
    return load_dataset(kind, data_files=str(path), split="train", cache_dir=str(folder / "cache"))


@pytest.mark.parametrize("file", ["jsonl", "parquet"])
async def test_datasets_loads_messages_and_tools_as_they_are(
    client: httpx.AsyncClient, sessions: Sessions, tmp_path: Path, file: str
) -> None:
    await store_labelled(client, sessions, PROMPTS)
    answer = await _export(client, "dpo", layout="conversational", file=file)
    path = tmp_path / f"data.{file}"
    path.write_bytes(answer.content)
    assert list(_load(path, file, tmp_path)) == [_row(name) for name in PROMPTS]


@pytest.mark.parametrize("file", ["jsonl", "parquet"])
async def test_a_bundle_loads_though_its_first_tools_come_late(
    client: httpx.AsyncClient, sessions: Sessions, tmp_path: Path, file: str
) -> None:
    """`datasets` takes the types of JSON lines from the first 10 MB, unless the card says them."""
    long = "x" * 99_000
    plain = {
        f"{number:03}": {"prompt": f"{number}{long}", "responses": [{"text": long}, {"text": "b"}]}
        for number in range(60)
    }
    prompts = plain | {f"z-{name}": PROMPTS[name] for name in ("tools", "turns")}
    await store_labelled(client, sessions, prompts)
    query = httpx.QueryParams(project="p", layout="conversational", file=file, metadata=True)
    answer = await client.get("/exports/dpo/bundle", params=query)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        archive.extractall(tmp_path / "folder")
    loaded = load_dataset(str(tmp_path / "folder"), cache_dir=str(tmp_path / "cache"))
    rows = {row["prompt_external_id"]: row for split in loaded.values() for row in split}
    assert len(rows) == 62
    for name in ("tools", "turns"):
        row = rows[f"z-{name}"]
        assert {column: row[column] for column in _row(name)} == _row(name)
    assert rows["000"]["tools"] is None
